import { expect, test } from 'vitest';
import {
  commands,
  decodeCommand,
  decodeStatus,
  describeStatus,
  failures,
  recyclerStatuses,
  rejectReasons,
  replies,
  statuses,
} from '#hal/id003/commands.ts';

/** The tables of cash-hardware.md 2.2 to 2.4, written down here once more by hand. */
const COMMAND_CODES = [
  ...[0x11, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x49, 0x50],
  ...[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a],
  ...[0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7],
];
const STATUS_CODES = [
  ...[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b],
  ...[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49],
];
const REJECT_CODES = [
  ...[0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f],
  ...[0x98, 0x9b],
];
const FAILURE_CODES = [...[0xa2, 0xa5, 0xa6, 0xa7, 0xab, 0xac, 0xad, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3]];

const codesOf = (table: Readonly<Record<string, { readonly code: number }>>) =>
  Object.values(table).map(({ code }) => code);

const sorted = (codes: readonly number[]) => [...codes].sort((one, other) => one - other);

test('both tables are complete and no code is in one twice', () => {
  expect(sorted(codesOf(commands))).toEqual(sorted(COMMAND_CODES));
  expect(sorted(codesOf(statuses))).toEqual(sorted(STATUS_CODES));
  const answers = [...codesOf(statuses), ...Object.values(replies)];
  const recycler = Object.keys(recyclerStatuses).map(Number);
  const all = [...answers, ...recycler];
  expect(new Set(all).size).toBe(all.length);
});

test('reject reasons and failure codes are complete', () => {
  expect(sorted(Object.keys(rejectReasons).map(Number))).toEqual(REJECT_CODES);
  expect(sorted(Object.keys(failures).map(Number))).toEqual(FAILURE_CODES);
});

test('direction decides what 40 to 44 mean', () => {
  const frame = { code: 0x42, data: new Uint8Array(0) };
  expect(decodeCommand(frame)).toBe('stack2');
  expect(decodeStatus(frame)?.name).toBe('powerUpInStacker');
});

test('only what a validator says is a state', () => {
  const empty = new Uint8Array(0);
  const withNote = Uint8Array.of(0x65);
  expect(decodeStatus({ code: 0x13, data: withNote })).toEqual({ name: 'escrow', detail: 0x65 });
  expect(decodeStatus({ code: 0x13, data: empty })).toBeUndefined();
  expect(decodeStatus({ code: 0x15, data: withNote })).toBeUndefined();
  expect(decodeStatus({ code: 0x50, data: empty })).toBeUndefined();
  expect(decodeStatus({ code: 0x20, data: empty })).toBeUndefined();
  expect(decodeStatus({ code: 0x88, data: withNote })).toBeUndefined();
});

test('describes a state with its reason', () => {
  expect(describeStatus({ name: 'rejecting', detail: 0x79 })).toBe('17:79 rejecting: inhibited');
  expect(describeStatus({ name: 'failure', detail: 0xff })).toBe('49:FF failure');
  expect(describeStatus({ name: 'idling', detail: undefined })).toBe('11 idling');
});
