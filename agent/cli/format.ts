/** How the command line writes what the agent says, for people: plain text of 80 columns. */
import { minorDigits } from '#protocol/base/money.ts';
import type {
  DoctorReport,
  DocumentView,
  JournalEntryView,
  ObligationView,
} from '../api/schemas.ts';
import { commandVoice, commandWord } from '../texts/command.ts';
import { doctorText, doctorWord } from '../texts/doctor.ts';
import { fill, type Language } from '../texts/fill.ts';

/** Width of a terminal that nobody has made wider. */
const COLUMNS = 80;
/** Width of the names on the left. */
const NAME_COLUMNS = 13;

/** Text that others wrote, without what could steer the terminal. */
export const plain = (text: string): string => text.replace(/\p{Cc}|\p{Cf}/gu, ' ');

/** Breaks text into lines between words, and inside a word only when it is longer than a line. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const whole of plain(text).split(/ +/)) {
    let word = whole;
    if (line !== '' && line.length + 1 + word.length <= columns) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') lines.push(line);
    for (; word.length > columns; word = word.slice(columns)) lines.push(word.slice(0, columns));
    line = word;
  }
  return line === '' ? lines : [...lines, line];
}

/** Text moved to the right by as many columns, in lines that fit. */
function indented(text: string, columns: number): string {
  const margin = ' '.repeat(columns);
  return wrap(text, COLUMNS - columns)
    .map((line) => margin + line)
    .join('\n');
}

/** A name on the left and its values under one another. */
export function row(name: string, values: readonly string[]): string {
  const lines = values.flatMap((value) => wrap(value, COLUMNS - NAME_COLUMNS));
  return lines
    .map((line, index) => (index === 0 ? name : '').padEnd(NAME_COLUMNS) + line)
    .join('\n');
}

/** An instant in UTC, to the second. */
export const instant = (unixMs: number) =>
  new Date(unixMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');

/** A length of time in its two largest units, as `2 d 3 h`. */
export function duration(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1_000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first === -1 ? 3 : first).slice(0, 2);
  return shown
    .filter(([count], index) => count > 0 || index === 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** An amount with its currency's code. */
export const fiat = (minor: number, currency: string, digits: number) =>
  `${(minor / 10 ** digits).toFixed(digits)} ${currency}`;
/** A code and what it means. */
export const words = ({ code, text }: { code: string; text: string }) =>
  code === 'ok' ? text : `${code}: ${text}`;

/** One entry of `spire journal`. */
export function formatEntry(entry: JournalEntryView): string {
  const head = `${String(entry.seq).padStart(7)}  ${instant(entry.atUnixMs)}  ${plain(entry.kind)}`;
  const body = Object.entries(entry.body).map(
    ([name, value]) => `${name}=${JSON.stringify(value)}`,
  );
  const lines = [
    entry.transactionId === null ? '' : `transaction=${entry.transactionId}`,
    body.join(' '),
  ].filter((line) => line !== '');
  return [head, ...lines.map((line) => indented(line, 9))].join('\n');
}

/** `spire documents`; `nowUnixMs` tells how old they are. */
export function formatDocuments(
  documents: readonly DocumentView[],
  nowUnixMs: number,
  language: Language = 'en',
): string {
  const say = commandVoice(language);
  if (documents.length === 0) return say('documents.none');
  const when = (unixMs: number | null) =>
    unixMs === null
      ? say('documents.never')
      : say('documents.ago', { time: instant(unixMs), age: duration(nowUnixMs - unixMs) });
  return documents
    .map((one) =>
      [
        plain(say(`documents.${one.direction}`, { type: one.type })),
        row(say('documents.written'), [when(one.createdAtUnixMs)]),
        ...(one.direction === 'in'
          ? [row(say('documents.applied'), [when(one.appliedAtUnixMs)])]
          : []),
        ...(one.eventId === null ? [] : [row(say('documents.event'), [one.eventId])]),
        ...(one.refused === null ? [] : [row(say('documents.refused'), [one.refused])]),
        ...(one.pending ? [row(say('documents.pending'), [say('documents.waits')])] : []),
        ...one.relays.map(({ url, outcome, reason }) =>
          row(say('documents.relay'), [plain(`${url}: ${outcome}. ${reason}`)]),
        ),
      ].join('\n'),
    )
    .join('\n');
}

/** `spire obligations`. */
export function formatObligations(
  obligations: readonly ObligationView[],
  language: Language = 'en',
): string {
  if (obligations.length === 0) return commandVoice(language)('owed.nothing');
  return obligations.map((one) => formatObligation(one, language)).join('\n');
}

function formatObligation(one: ObligationView, language: Language): string {
  const say = commandVoice(language);
  const amounts = [
    one.amountSats === null ? '' : `${one.amountSats} sats`,
    one.amountMinor === null ? '' : fiat(one.amountMinor, one.currency, minorDigits(one.currency)),
  ].filter((amount) => amount !== '');
  const { partialDispense: partial, settled, kind, reference } = one;
  const state = commandWord(language, `owed.state.${one.state}`, one.state);
  const what = language === 'en' ? one.wayOut : commandWord(language, `wayOut.${kind}`, one.wayOut);
  const lines = [
    amounts.length === 0 ? say('owed.noAmount') : amounts.join(', '),
    ...(one.transactionId === null ? [] : [`transaction=${one.transactionId}`]),
    ...pairs(one.evidence),
    ...one.acts.map((act) => [`${act.kind}: ${act.outcome}`, ...pairs(act.evidence)].join(' ')),
    ...(partial === null ? [] : pairs(partial)),
    settled === null
      ? say('owed.toDo', { what })
      : say('owed.closed', {
          time: instant(settled.atUnixMs),
          by: settled.by ?? '-',
          reason: settled.reason ?? '-',
        }),
  ];
  return [
    say('owed.head', { reference, kind, state, age: duration(one.ageMs) }),
    ...lines.map((line) => indented(line, 11)),
  ].join('\n');
}

const pairs = (values: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`);

/** `spire doctor`: one finding under the other, and what to do next under each that is not well. */
export function formatReport({ level, findings }: DoctorReport, language: Language = 'en'): string {
  const word = (key: string, own: string) => doctorWord(language, key, own);
  const lines = findings.flatMap((finding) => {
    const { subject, said, nextSaid } = finding;
    const text = (said && doctorText(language, said)) ?? finding.text;
    const next = (nextSaid && doctorText(language, nextSaid)) ?? finding.next;
    return [
      row(word(`level.${finding.level}`, finding.level), [
        `${word(`subject.${subject}`, subject)}: ${text}`,
      ]),
      ...(next === null ? [] : [row('', [`> ${next}`])]),
    ];
  });
  const counted = (['fault', 'warning'] as const).map((wanted) => {
    const count = findings.filter((one) => one.level === wanted).length;
    return fill(word(`count.${wanted}${count === 1 ? '' : 's'}`, wanted), { count });
  });
  const all = level === 'ok' ? word('count.none', '') : `${counted.join(', ')}.`;
  return [...lines, all].join('\n');
}
