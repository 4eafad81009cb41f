/** The handshake with the world: relays, bunker, wallet, and whose time it is. */
import { timedOut, withDeadline } from '#protocol/base/clock.ts';
import { ALARM_MS, type ClockVerdict } from '#protocol/corrected-clock.ts';
import type { Shortcoming } from '#protocol/relay/information.ts';
import type { RoundTrip } from '#protocol/relay/round-trip.ts';
import { advice } from './advice.ts';
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
    ...relaysFor('the bunker', trips.bunker),
    ...relaysFor('wallet and documents', trips.others),
  ];
}

function relaysFor(purpose: string, trips: readonly RoundTrip[]): readonly Finding[] {
  const someAnswer = trips.some(({ answeredMs }) => answeredMs !== undefined);
  return trips.flatMap(({ url, state, reason, answeredMs, shortcomings = [] }) => {
    if (answeredMs !== undefined) {
      const tookMs = Math.round(answeredMs);
      return [
        well('relay', `${url} (${purpose}) answered in ${tookMs} ms.`),
        ...shortcomings.map((one) => shortcomingOf(`${url} (${purpose})`, one)),
      ];
    }
    const why = state === 'open' ? 'it is connected and does not answer' : (reason ?? state);
    const text = `${url} (${purpose}) cannot be used: ${why}.`;
    return someAnswer
      ? warning('relay', text, 'Nothing at once: another relay answers. Have it looked after.')
      : fault('relay', text, "See to this machine's network, then to the relay.");
  });
}

/** What a relay says of itself (NIP-11) that may keep us from using it. It may say what it likes. */
function shortcomingOf(relay: string, one: Shortcoming): Finding {
  const admit = "Have the relay's keeper admit this machine's key, or use another relay.";
  const other = 'Use another relay beside it, or instead.';
  switch (one.code) {
    case 'payment':
      return warning('relay', `${relay} says that it wants to be paid.`, admit);
    case 'restrictedWrites':
      return warning('relay', `${relay} says that it takes events only of some.`, admit);
    case 'work':
      return warning('relay', `${relay} wants ${one.bits} bits of work on each event.`, other);
    case 'subscriptions': {
      const text = `${relay} grants ${one.max} subscriptions, and we have ${one.needed}.`;
      return warning('relay', text, other);
    }
    case 'message':
    case 'content': {
      const what = one.code === 'message' ? 'messages' : 'events';
      const text = `${relay} takes ${what} up to ${one.max}, and ours may have ${one.needed}.`;
      return warning('relay', text, other);
    }
    case 'past':
    case 'future': {
      const when = one.code === 'past' ? 'old' : 'ahead of its clock';
      const text = `${relay} takes events up to ${one.maxSec} s ${when}; ours may be ${one.neededSec} s.`;
      return warning('relay', text, other);
    }
  }
}

/** One signature that is never published: it proves the bunker, its grant and the way there. */
export async function examineSigner({ parts }: DoctorSources): Promise<readonly Finding[]> {
  const { clock, signer, signatures } = parts;
  const startedMs = clock.monotonic();
  const health = await withDeadline(clock, SIGNER_LIMIT_MS, signer.probe());
  if (health === timedOut || health.kind !== 'ok') {
    // Why it does not sign stands on the board by now, in words that say more than this.
    return [fault('signer', 'The bunker has not signed.', advice.signerUnreachable.next)];
  }
  const tookMs = Math.round(clock.monotonic() - startedMs);
  const signed = well('signer', `The bunker signed in ${tookMs} ms.`);
  if (signatures.has(1)) return [signed];
  const text = 'The bunker signs, and its quota is used up as far as is known.';
  return [signed, warning('signer', text, advice.signatures.next)];
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
    const text = known?.text ?? 'The wallet could not be asked: the call was not signed.';
    return [fault('wallet', text, advice.walletUnreachable.next)];
  }
  const named = walletWatch.named() ? `is ${walletId}` : 'does not say which one it is';
  const { walletFloatSats } = config.limits;
  const held = well('wallet', `The wallet ${named} and holds ${balance} sats.`);
  if (walletFloatSats === undefined || balance <= walletFloatSats) return [held];
  const text = `The wallet holds ${balance} sats, more than its float of ${walletFloatSats}.`;
  return [held, warning('wallet', text, 'Have the operator take out what is above the float.')];
}

/** How this computer's clock stands against the wallet's and the relays' time. */
export function examineClock({ nostr }: Pick<DoctorSources, 'nostr'>): readonly Finding[] {
  return [clockFinding(nostr.clockVerdict())];
}

function clockFinding(verdict: ClockVerdict): Finding {
  const { next } = advice.clock;
  switch (verdict.kind) {
    case 'unknown':
      return warning(
        'clock',
        'Nobody has told the time yet, so that the clock is compared with nothing.',
        'Ask again when the wallet or two relays have answered.',
      );
    case 'doubted':
      return fault('clock', `A relay refuses us for our time: "${verdict.words}".`, next);
    case 'right':
      return well('clock', `The clock is ${Math.round(verdict.offsetMs)} ms off.`);
    case 'off':
      return warning('clock', `The clock is ${secondsOff(verdict.offsetMs)}.`, next);
    case 'wrong':
      return fault('clock', `The clock is ${secondsOff(verdict.offsetMs)}.`, next);
  }
}

function secondsOff(offsetMs: number): string {
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  const bound = ALARM_MS / 1_000;
  return `${seconds} s ${offsetMs > 0 ? 'slow' : 'fast'}, and should be within ${bound} s`;
}
