/** The handshake with the world: relays, bunker, wallet, and whose time it is. */
import { timedOut, withDeadline } from '#protocol/base/clock.ts';
import { ALARM_MS, type ClockVerdict } from '#protocol/corrected-clock.ts';
import type { Shortcoming } from '#protocol/relay/information.ts';
import type { RoundTrip } from '#protocol/relay/round-trip.ts';
import { type Sentence, sentence } from '../texts/doctor.ts';
import type { Values } from '../texts/fill.ts';
import { adviceOn } from './advice.ts';
import { type Finding, fault, warning, well } from './findings.ts';
import type { DoctorSources } from './sources.ts';

/** Longest wait for a relay's answer, ms. */
const RELAY_LIMIT_MS = 10_000;
/** Longest wait for the bunker, ms: two attempts of 15 s (design 9) and what waits before them. */
const SIGNER_LIMIT_MS = 40_000;
/** Longest wait for the wallet, ms: a call is tried again within its own bound. */
const WALLET_LIMIT_MS = 60_000;
/** A balance may be so old while a customer is served, ms: their calls go first. */
const BUSY_AGE_MS = 60_000;

/** Every relay, by what it is there for. One that answers is enough, and all should. */
export async function examineRelays({
  nostr,
}: Pick<DoctorSources, 'nostr'>): Promise<readonly Finding[]> {
  const trips = await nostr.roundTrips(RELAY_LIMIT_MS);
  return [
    ...relaysFor('@purpose.bunker', trips.bunker),
    ...relaysFor('@purpose.others', trips.others),
  ];
}

function relaysFor(purpose: string, trips: readonly RoundTrip[]): readonly Finding[] {
  const someAnswer = trips.some(({ answeredMs }) => answeredMs !== undefined);
  return trips.flatMap(({ url, state, reason, answeredMs, shortcomings = [] }) => {
    const relay = { url, purpose };
    if (answeredMs !== undefined) {
      const answered = sentence('relay.answered', { ...relay, ms: Math.round(answeredMs) });
      return [well('relay', answered), ...shortcomings.map((one) => shortcomingOf(relay, one))];
    }
    const why = reason ?? state;
    const text =
      state === 'open' ? sentence('relay.mute', relay) : sentence('relay.away', { ...relay, why });
    return someAnswer
      ? warning('relay', text, sentence('next.otherRelay'))
      : fault('relay', text, sentence('next.network'));
  });
}

/** What a relay says of itself (NIP-11) that may keep us from using it. It may say what it likes. */
function shortcomingOf(relay: Values, one: Shortcoming): Finding {
  const { code, ...values } = one;
  const isOfPersons = code === 'payment' || code === 'restrictedWrites';
  const next = sentence(isOfPersons ? 'next.admit' : 'next.relayBeside');
  return warning('relay', sentence(`relay.${code}`, { ...relay, ...values }), next);
}

/** One signature that is never published: it proves the bunker, its grant and the way there. */
export async function examineSigner({ parts }: DoctorSources): Promise<readonly Finding[]> {
  const { clock, signer, signatures } = parts;
  const startedMs = clock.monotonic();
  const health = await withDeadline(clock, SIGNER_LIMIT_MS, signer.probe());
  if (health === timedOut || health.kind !== 'ok') {
    // Why it does not sign stands on the board by now, in words that say more than this.
    return [fault('signer', sentence('signer.notSigned'), adviceOn('signerUnreachable').next)];
  }
  const tookMs = Math.round(clock.monotonic() - startedMs);
  const signed = well('signer', sentence('signer.signed', { ms: tookMs }));
  if (signatures.has(1)) return [signed];
  return [signed, warning('signer', sentence('signer.quota'), adviceOn('signatures').next)];
}

/** `get_wallet`, through relays, bunker and server; whose wallet it is, and what is in it. */
export async function examineWallet(sources: DoctorSources): Promise<readonly Finding[]> {
  const { parts } = sources;
  const { clock, walletWatch, walletId, config, board } = parts;
  const maxAgeMs = sources.isIdle() ? 0 : BUSY_AGE_MS;
  const balance = await withDeadline(clock, WALLET_LIMIT_MS, walletWatch.balance(maxAgeMs));
  if (balance === timedOut || balance === undefined) {
    const known = (['cashIn', 'cashOut'] as const)
      .flatMap((direction) => board.list(direction))
      .find(({ code }) => code.startsWith('wallet'));
    const text = known?.text ?? sentence('wallet.notSigned');
    return [fault('wallet', text, adviceOn('walletUnreachable').next)];
  }
  const isNamed = walletWatch.named();
  const { walletFloatSats } = config.limits;
  const held = well(
    'wallet',
    isNamed
      ? sentence('wallet.named', { wallet: walletId, sats: balance })
      : sentence('wallet.unnamed', { sats: balance }),
  );
  if (walletFloatSats === undefined || balance <= walletFloatSats) return [held];
  const text = sentence('wallet.float', { sats: balance, float: walletFloatSats });
  return [held, warning('wallet', text, sentence('next.float'))];
}

/** How this computer's clock stands against the wallet's and the relays' time. */
export function examineClock({ nostr }: Pick<DoctorSources, 'nostr'>): readonly Finding[] {
  return [clockFinding(nostr.clockVerdict())];
}

function clockFinding(verdict: ClockVerdict): Finding {
  const { next } = adviceOn('clock');
  switch (verdict.kind) {
    case 'unknown':
      return warning('clock', sentence('clock.unknown'), sentence('next.clockLater'));
    case 'doubted':
      return fault('clock', sentence('clock.doubted', { words: verdict.words }), next);
    case 'right':
      return well('clock', sentence('clock.right', { ms: Math.round(verdict.offsetMs) }));
    case 'off':
      return warning('clock', secondsOff(verdict.offsetMs), next);
    case 'wrong':
      return fault('clock', secondsOff(verdict.offsetMs), next);
  }
}

function secondsOff(offsetMs: number): Sentence {
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  const bound = ALARM_MS / 1_000;
  return sentence(offsetMs > 0 ? 'clock.slow' : 'clock.fast', { seconds, bound });
}
