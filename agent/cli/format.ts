/** How the command line writes what the agent says, for people: plain text of 80 columns. */
import { minorDigits } from '#protocol/base/money.ts';
import type {
  DoctorReport,
  DocumentView,
  JournalEntryView,
  MachineView,
  ObligationView,
  StatusView,
} from '../api/schemas.ts';
import { doctorText, doctorWord } from '../texts/doctor.ts';
import { fill, type Language } from '../texts/fill.ts';
import type { ListedPort, ProbeResult } from './probe.ts';

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
function row(name: string, values: readonly string[]): string {
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

const fiat = (minor: number, currency: string, digits: number) =>
  `${(minor / 10 ** digits).toFixed(digits)} ${currency}`;
const words = ({ code, text }: { code: string; text: string }) =>
  code === 'ok' ? text : `${code}: ${text}`;

function direction({ open, reasons, feeFraction }: MachineView['cashIn']): string[] {
  const fee = feeFraction === null ? '' : `, fee ${Number((feeFraction * 100).toFixed(4))} %`;
  return open ? [`open${fee}`] : ['closed', ...reasons.map(words)];
}

/** `spire status`. */
export function formatStatus(status: StatusView): string {
  const { machine, journal } = status;
  const { currency, session } = machine;
  const rate = machine.rateMinorPerBtc;
  return [
    row('State', [machine.state]),
    row('Cash-in', direction(machine.cashIn)),
    row('Cash-out', direction(machine.cashOut)),
    row('Price', [
      rate === null ? 'none' : `${fiat(rate, currency, machine.minorDigits)} for 1 bitcoin`,
    ]),
    row('Session', [
      session ? `${session.kind}, ${session.phase}, ${session.reference ?? ''}` : '-',
    ]),
    row('Signer', [words(status.signer)]),
    row('Relays', status.relays.length === 0 ? ['none'] : status.relays.map(relayLine)),
    row('Clock', [
      status.clockOffsetMs === null ? 'offset unknown' : `${status.clockOffsetMs} ms off`,
    ]),
    row('Acceptor', [words(status.acceptor)]),
    row('Dispenser', [words(status.dispenser)]),
    row('Bays', status.cashUnits.length === 0 ? ['none'] : bayLines(status)),
    row('Use', useLines(status)),
    row('Over/short', overShortLines(status)),
    row('Documents', status.documents.map(documentLine)),
    row('Notes', status.accounts.length === 0 ? ['none'] : noteLines(status)),
    row('Obligations', [`${status.openObligations} open`]),
    row('Intents', [`${status.openIntents} open`]),
    row('Journal', [`${journal.entries} entries, chain ${journal.chain}`, journal.head]),
    row('Wallet', [status.walletId ?? 'not pinned']),
    row('Spire key', [status.spirePubkey]),
    row('Operator', [status.operatorPubkey]),
  ].join('\n');
}

const relayLine = ({ url, state, reason }: StatusView['relays'][number]) =>
  `${state} ${url}${reason === '' ? '' : ` (${reason})`}`;

function bayLines({ cashUnits, machine }: StatusView): string[] {
  return cashUnits.map(
    ({ position, denomination, count, accuracy, parked, swapped }) =>
      `${position}: ${count} notes of ${denomination} ${machine.currency}, ${accuracy}` +
      (parked ? ', parked' : '') +
      (swapped ? ', another cassette' : ''),
  );
}

function useLines({ bayUse }: StatusView): string[] {
  if (bayUse.length === 0) return ['none'];
  return bayUse.map(
    ({ position, days, dispensed, rejected, perDay, daysToEmpty, notesPerReject }) =>
      [
        `${position}: ${dispensed} dispensed, ${rejected} rejected in ${days} d`,
        ...(perDay === null ? [] : [`${Number(perDay.toFixed(1))} a day`]),
        ...(daysToEmpty === null ? [] : [`empty in ${daysToEmpty} d`]),
        ...(notesPerReject === null ? [] : [`1 reject in ${notesPerReject}`]),
      ].join(', '),
  );
}

function overShortLines({ overShort, machine }: StatusView): string[] {
  if (overShort.length === 0) return ['none in 90 d'];
  return overShort.map(
    ({ atUnixMs, account, denomination, difference, reason, note, reference }) => {
      const found = `${Math.abs(difference)} of ${denomination} ${machine.currency}`;
      const why = [reason, note].filter((part) => part !== null && part !== '').join(': ');
      const side = difference < 0 ? 'short' : 'over';
      return `${instant(atUnixMs).slice(0, 10)} ${account}: ${found} ${side}, ${why} (${reference})`;
    },
  );
}

function documentLine({
  type,
  direction,
  ageMs,
  refused,
  pending,
}: StatusView['documents'][number]) {
  const age = ageMs === null ? 'never' : `${duration(ageMs)} old`;
  const more = [
    ...(refused === null ? [] : [`a newer one was refused: ${refused}`]),
    ...(pending ? ['waits to be published'] : []),
  ].map((words) => `, ${words}`);
  return plain(`${direction === 'in' ? 'from' : 'to'} operator, ${type}: ${age}${more.join('')}`);
}

function noteLines({ accounts, machine }: StatusView): string[] {
  return accounts.map(
    ({ account, denomination, count }) =>
      `${account}: ${count} of ${denomination} ${machine.currency}`,
  );
}

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
export function formatDocuments(documents: readonly DocumentView[], nowUnixMs: number): string {
  if (documents.length === 0) return 'No documents.';
  const when = (unixMs: number | null) =>
    unixMs === null ? 'never' : `${instant(unixMs)}, ${duration(nowUnixMs - unixMs)} ago`;
  return documents
    .map((one) =>
      [
        `${plain(one.type)} (${one.direction === 'in' ? 'from' : 'to'} the operator)`,
        row('  written', [when(one.createdAtUnixMs)]),
        ...(one.direction === 'in' ? [row('  applied', [when(one.appliedAtUnixMs)])] : []),
        ...(one.eventId === null ? [] : [row('  event', [one.eventId])]),
        ...(one.refused === null ? [] : [row('  refused', [one.refused])]),
        ...(one.pending ? [row('  pending', ['waits to be published'])] : []),
        ...one.relays.map(({ url, outcome, reason }) =>
          row('  relay', [plain(`${url}: ${outcome}. ${reason}`)]),
        ),
      ].join('\n'),
    )
    .join('\n');
}

/** `spire obligations`. */
export function formatObligations(obligations: readonly ObligationView[]): string {
  if (obligations.length === 0) return 'Nothing is owed, and nothing is unknown.';
  return obligations.map(formatObligation).join('\n');
}

function formatObligation(one: ObligationView): string {
  const amounts = [
    one.amountSats === null ? '' : `${one.amountSats} sats`,
    one.amountMinor === null ? '' : fiat(one.amountMinor, one.currency, minorDigits(one.currency)),
  ].filter((amount) => amount !== '');
  const { partialDispense: partial, settled } = one;
  const lines = [
    amounts.length === 0 ? 'amount unknown' : amounts.join(', '),
    ...(one.transactionId === null ? [] : [`transaction=${one.transactionId}`]),
    ...pairs(one.evidence),
    ...one.acts.map(({ kind, outcome, evidence }) =>
      [`${kind}: ${outcome}`, ...pairs(evidence)].join(' '),
    ),
    ...(partial === null ? [] : pairs(partial)),
    ...(settled === null
      ? [`to do: ${one.wayOut}`]
      : [`closed ${instant(settled.atUnixMs)} by ${settled.by ?? '-'}: ${settled.reason ?? '-'}`]),
  ];
  return [
    `${one.reference}  ${one.kind}, ${one.state}, ${duration(one.ageMs)} old`,
    ...lines.map((line) => indented(line, 11)),
  ].join('\n');
}

const pairs = (values: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`);

/** `spire probe`: every port under its names. */
export function formatPorts(ports: readonly ListedPort[]): string {
  if (ports.length === 0) return 'There is no serial port on this computer.';
  return ports
    .map(({ path, links, usb, heldBy }) =>
      [
        plain(path),
        ...links.map((link) => row('  also', [link])),
        ...(usb ? [row('  adapter', [adapterWords(usb)])] : []),
        ...(heldBy === null ? [] : [row('  held by', [`the agent, for its ${heldBy}`])]),
      ].join('\n'),
    )
    .join('\n');
}

function adapterWords(usb: NonNullable<ListedPort['usb']>): string {
  const { vendorId, productId, manufacturer, product, serialNumber } = usb;
  const names = [manufacturer, product].filter((name) => name !== undefined).join(' ');
  const serial = serialNumber === undefined ? '' : `, serial number ${serialNumber}`;
  return `${names} (USB ${vendorId}:${productId}${serial})`.trim();
}

/** `spire probe --port`: who is there, or what was tried. */
export function formatDevice({ port, source, device, attempts }: ProbeResult): string {
  if (!device) {
    return [
      plain(`Nothing that is known here answers on ${port}.`),
      ...attempts.map(({ protocol, model, outcome, text }) =>
        row(model ?? protocol, [outcome === 'other' ? text : outcome]),
      ),
    ].join('\n');
  }
  const { identity, condition, status, capabilities, counters } = device;
  const facts = (values: Readonly<Record<string, unknown>>) =>
    Object.entries(values).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return [
    row('Port', [source === 'agent' ? `${port} (held by the agent, which says this)` : port]),
    row('Device', [`${device.device}, ${identity?.model ?? 'never identified'}`]),
    row('Protocol', [device.protocol]),
    row('Firmware', [identity?.firmware ?? '-']),
    row('Serial', [identity?.serialNumber ?? '-']),
    row('State', [condition.text === '' ? condition.code : words(condition), ...facts(status)]),
    ...(Object.keys(capabilities).length === 0 ? [] : [row('It can', facts(capabilities))]),
    ...(counters ? [row('Counters', facts(counters))] : []),
  ].join('\n');
}

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
