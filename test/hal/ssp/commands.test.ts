import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  commands,
  decodeCommand,
  decodePoll,
  describeEvent,
  events,
  rejectCodes,
  replies,
} from '#hal/ssp/commands.ts';

/** The tables of cash-hardware.md 5.2 to 5.4, written down here once more by hand. */
const COMMAND_CODES = [
  ...[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x0e, 0x0f, 0x11],
  ...[0x17, 0x18, 0x20, 0x21, 0x22, 0x30, 0x33, 0x38, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x42, 0x43],
  ...[0x44, 0x46, 0x4a, 0x4b, 0x4c, 0x4d, 0x4f, 0x52, 0x53, 0x54, 0x56, 0x57, 0x58, 0x59, 0x5b],
  ...[0x5c, 0x60, 0x61],
];
const EVENT_CODES = [
  ...[0xf1, 0xef, 0xee, 0xed, 0xec, 0xeb, 0xea, 0xe9, 0xe8, 0xe7, 0xe6, 0xe5, 0xe4, 0xe3, 0xe2],
  ...[0xe1, 0xe0, 0xcc, 0xb5, 0xb6, 0xda, 0xd2, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xdc, 0xdd, 0xdb],
  ...[0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf, 0xb0, 0xb1, 0xc6, 0xb3, 0xb4, 0xc2, 0xc3],
  // Of coins and tickets: known, so that what follows them can be read.
  ...[0xde, 0xdf, 0xd1],
];
const REJECT_CODES = [...Array.from({ length: 0x1e }, (_, code) => code), 0x1f];
const REPLY_CODES = [0xf0, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xfa];

const codesOf = (table: Readonly<Record<string, { readonly code: number }>>) =>
  Object.values(table).map(({ code }) => code);

const sorted = (codes: readonly number[]) => [...codes].sort((one, other) => one - other);

test('the tables are complete and no code is in one twice', () => {
  expect(sorted(codesOf(commands))).toEqual(sorted(COMMAND_CODES));
  expect(sorted(codesOf(events))).toEqual(sorted(EVENT_CODES));
  expect(sorted(Object.values(replies))).toEqual(REPLY_CODES);
  expect(Object.keys(rejectCodes).map(Number)).toEqual(REJECT_CODES);
  for (const code of COMMAND_CODES) expect(decodeCommand(code)).toBeDefined();
  expect(decodeCommand(0x00)).toBeUndefined();
});

test('what can move a note is marked, POLL among it', () => {
  const moving = Object.entries(commands).flatMap(([name, { moves }]) => (moves ? [name] : []));
  expect(moving).toEqual(expect.arrayContaining(['poll', 'pollWithAck', 'reject', 'reset']));
  expect(moving).not.toContain('hold');
});

test('reads several events of one answer, in order', () => {
  const data = Uint8Array.of(0xf0, 0xf1, 0xe2, 0x02, 0xe8);
  expect(decodePoll(data, 6)).toEqual({
    events: [
      { name: 'slaveReset', channel: undefined },
      { name: 'clearedToCashbox', channel: 2 },
      { name: 'disabled', channel: undefined },
    ],
    unreadable: undefined,
  });
  expect(decodePoll(Uint8Array.of(0xf0), 6)).toEqual({ events: [], unreadable: undefined });
});

test('jumps over amounts, in the form of the protocol version', () => {
  const six = [0xf0, 0xda, 0x01, 0xf4, 1, 0, 0, 0x55, 0x53, 0x44, 0xee, 0x03];
  const five = [0xf0, 0xda, 0xf4, 1, 0, 0, 0xee, 0x03];
  const names = [
    { name: 'dispensing', channel: undefined },
    { name: 'credit', channel: 3 },
  ];
  expect(decodePoll(Uint8Array.from(six), 6).events).toEqual(names);
  expect(decodePoll(Uint8Array.from(five), 5).events).toEqual(names);
  const none = decodePoll(Uint8Array.of(0xf0, 0xd2, 0x00, 0xeb), 6);
  expect(none.events.map(({ name }) => name)).toEqual(['dispensed', 'stacked']);
});

test('what is behind an event of unknown length is not read, and said so', () => {
  expect(decodePoll(Uint8Array.of(0xf0, 0xcc, 0xa0, 0xee, 0x01), 6)).toEqual({
    events: [{ name: 'stacking', channel: undefined }],
    unreadable: Uint8Array.of(0xa0, 0xee, 0x01),
  });
  expect(decodePoll(Uint8Array.of(0xf0, 0xee), 6).unreadable).toEqual(Uint8Array.of(0xee));
});

test('any bytes are read without an error', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.integer({ min: 0, max: 9 }),
      (data, version) => {
        const answer = decodePoll(data, version);
        expect(answer.events.length).toBeLessThanOrEqual(data.length);
      },
    ),
  );
});

test('describes an event with its channel', () => {
  expect(describeEvent({ name: 'credit', channel: 3 })).toBe('EE:03 note credit');
  expect(describeEvent({ name: 'safeJam', channel: undefined })).toBe('EA safe jam');
});
