/** The most that one cash-in may come to, from everything that limits it (design 6.2). Pure. */
import { type Sats, sats } from '#protocol/base/money.ts';

/** What limits a cash-in; undefined where there is no such limit, null where it says "no cap". */
export interface CapSources {
  readonly configured: number | null;
  readonly operator: number | null | undefined;
  /** What a refusal by the wallet taught. */
  readonly learned: number | undefined;
  /** What a validator without escrow may take, as nothing it took can be given back. */
  readonly noEscrow?: number | undefined;
  /** Balance less unclaimed links less the reserve. */
  readonly spendable: number;
  /** What the hour's and the day's exposure budgets still allow. */
  readonly budget: number;
}

/** The limit that binds, in words for programs. */
export type CapName = 'configured' | 'operator' | 'learned' | 'noEscrow' | 'spendable' | 'budget';

/** The least of all limits. `null` only when nothing at all limits the cash-in. */
export interface EffectiveCap {
  readonly capSats: Sats;
  readonly binding: CapName;
  /** The cap that the operator set, without the wallet's means; null for none. */
  readonly agreed: Sats | null;
}

/** Takes the least limit. The wallet's means always limit, so the result is always a number. */
export function effectiveCap(sources: CapSources): EffectiveCap {
  const { configured, operator, learned, noEscrow } = sources;
  const agreed = [configured, operator, learned, noEscrow].filter(
    (limit): limit is number => typeof limit === 'number',
  );
  const named: readonly (readonly [CapName, number | null | undefined])[] = [
    ['configured', configured],
    ['operator', operator],
    ['learned', learned],
    ['noEscrow', noEscrow],
    ['spendable', sources.spendable],
    ['budget', sources.budget],
  ];
  let least: readonly [CapName, number] = ['spendable', Math.max(0, sources.spendable)];
  for (const [name, limit] of named) {
    if (typeof limit === 'number' && limit < least[1]) least = [name, Math.max(0, limit)];
  }
  return {
    capSats: sats(least[1]),
    binding: least[0],
    agreed: agreed.length === 0 ? null : sats(Math.min(...agreed)),
  };
}
