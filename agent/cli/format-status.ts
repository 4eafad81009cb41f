/** How `spire status` is written, in either language. */
import type { MachineView, StatusView } from '../api/schemas.ts';
import { fill, type Language } from '../texts/fill.ts';
import { closedText, type SayStatus, statusTexts, statusVoice } from '../texts/status.ts';
import { technicianTexts } from '../texts/technician.ts';
import { duration, fiat, instant, plain, row } from './format.ts';

/** Counts that differed are shown for as long, days. */
const OVER_SHORT_DAYS = 90;

/** How the machine is, in rows of 80 columns; in its own language unless another is asked for. */
export function formatStatus(
  status: StatusView,
  language: Language = status.machine.language,
): string {
  const say = statusVoice(language);
  const { machine, journal } = status;
  const offMs = status.clockOffsetMs;
  const rate = machine.rateMinorPerBtc;
  const price = rate === null ? '' : fiat(rate, machine.currency, machine.minorDigits);
  const orNone = (lines: readonly string[]) => (lines.length === 0 ? [say('none')] : lines);
  return [
    row(say('row.state'), [say(`state.${machine.state}`)]),
    row(say('row.cashIn'), direction(machine.cashIn, language)),
    row(say('row.cashOut'), direction(machine.cashOut, language)),
    row(say('row.price'), [price === '' ? say('none') : say('price', { amount: price })]),
    row(say('row.session'), [sessionLine(machine, say)]),
    row(say('row.signer'), [conditionLine(status.signer, language)]),
    row(say('row.relays'), orNone(status.relays.map((one) => relayLine(one, language)))),
    row(say('row.clock'), [
      offMs === null ? say('clockUnknown') : say('clock', { ms: Math.round(offMs) }),
    ]),
    row(say('row.acceptor'), [conditionLine(status.acceptor, language)]),
    row(say('row.dispenser'), [conditionLine(status.dispenser, language)]),
    row(say('row.bays'), orNone(bayLines(status, language))),
    row(say('row.use'), orNone(useLines(status, say))),
    row(say('row.overShort'), overShortLines(status, language)),
    row(
      say('row.documents'),
      status.documents.map((one) => documentLine(one, say)),
    ),
    row(say('row.notes'), orNone(noteLines(status, say))),
    row(say('row.obligations'), [say('openCount', { count: status.openObligations })]),
    row(say('row.intents'), [say('openCount', { count: status.openIntents })]),
    row(say('row.journal'), [
      say(`journal.${journal.chain}`, { entries: journal.entries }),
      journal.head,
    ]),
    row(say('row.wallet'), [status.walletId ?? say('notPinned')]),
    row(say('row.spireKey'), [status.spirePubkey]),
    row(say('row.operator'), [status.operatorPubkey]),
  ].join('\n');
}

function direction(
  { open, reasons, feeFraction }: MachineView['cashIn'],
  language: Language,
): string[] {
  const say = statusVoice(language);
  if (!open) return [say('closed'), ...reasons.map((reason) => closedText(language, reason))];
  if (feeFraction === null) return [say('open')];
  return [say('openFee', { percent: Number((feeFraction * 100).toFixed(4)) })];
}

function sessionLine({ session }: MachineView, say: SayStatus): string {
  if (!session) return '-';
  const { kind, phase, reference } = session;
  return `${say(`state.${kind}`)}, ${say(`phase.${phase}`)}, ${reference ?? ''}`;
}

/** A text of the catalogue for a word that a newer agent may have; the word itself without one. */
function known(language: Language, prefix: string, word: string): string {
  const texts: Readonly<Record<string, string>> = statusTexts[language];
  return texts[`${prefix}.${word}`] ?? word;
}

const relayLine = (relay: StatusView['relays'][number], language: Language) => {
  const { url, state, reason } = relay;
  return `${known(language, 'relay', state)} ${url}${reason === '' ? '' : ` (${reason})`}`;
};

/** How signer or device is; the words of a fault stay as the device, or the network, said them. */
function conditionLine({ code, text }: StatusView['signer'], language: Language): string {
  const condition = known(language, 'condition', code);
  if (text === code) return condition;
  const [, part = '', state = ''] = /^(cash box|path) (\w+)$/.exec(text) ?? [];
  if (part === '') return `${condition}: ${text}`;
  const named = fill(known(language, 'part', part), { state: known(language, 'part', state) });
  return `${condition}: ${named}`;
}

function bayLines({ cashUnits, machine: { currency } }: StatusView, language: Language): string[] {
  const say = statusVoice(language);
  return cashUnits.map(({ position, denomination, count, accuracy, parked, swapped }) => {
    const sure = known(language, 'accuracy', accuracy);
    return [
      say('bay', { position, count, denomination, currency, accuracy: sure }),
      ...(parked ? [say('parked')] : []),
      ...(swapped ? [say('swapped')] : []),
    ].join(', ');
  });
}

function useLines({ bayUse }: StatusView, say: SayStatus): string[] {
  return bayUse.map(
    ({ position, days, dispensed, rejected, perDay, daysToEmpty, notesPerReject }) =>
      [
        say('use', { position, days, dispensed, rejected }),
        ...(perDay === null ? [] : [say('perDay', { count: Number(perDay.toFixed(1)) })]),
        ...(daysToEmpty === null ? [] : [say('daysToEmpty', { days: daysToEmpty })]),
        ...(notesPerReject === null ? [] : [say('notesPerReject', { count: notesPerReject })]),
      ].join(', '),
  );
}

function overShortLines({ overShort, machine }: StatusView, language: Language): string[] {
  const say = statusVoice(language);
  const reasons: Readonly<Record<string, string>> = technicianTexts[language];
  if (overShort.length === 0) return [say('noneIn', { days: OVER_SHORT_DAYS })];
  return overShort.map(
    ({ atUnixMs, account, denomination, difference, reason, note, reference }) => {
      const values = { count: Math.abs(difference), denomination, currency: machine.currency };
      const found = say(difference < 0 ? 'short' : 'over', values);
      const told = reason === null ? '' : (reasons[`reason.${reason}`] ?? reason);
      const why = [told, note].filter((part) => part !== '').join(': ');
      return `${instant(atUnixMs).slice(0, 10)} ${account}: ${found}, ${why} (${reference})`;
    },
  );
}

function documentLine(document: StatusView['documents'][number], say: SayStatus): string {
  const { type, direction, ageMs, refused, pending } = document;
  const age = ageMs === null ? say('never') : say('old', { age: duration(ageMs) });
  return plain(
    [
      say(`document.${direction}`, { type, age }),
      ...(refused === null ? [] : [say('refused', { why: refused })]),
      ...(pending ? [say('pending')] : []),
    ].join(', '),
  );
}

const noteLines = ({ accounts, machine: { currency } }: StatusView, say: SayStatus): string[] =>
  accounts.map(({ account, denomination, count }) =>
    say('pile', { account, denomination, count, currency }),
  );
