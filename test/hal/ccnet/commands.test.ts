import { expect, test } from 'vitest';
import {
  answeringStatuses,
  billToBillCommands,
  billToBillStatuses,
  commands,
  decodeCommand,
  decodeStatus,
  describeStatus,
  failures,
  rejectReasons,
  replies,
  statuses,
} from '#hal/ccnet/commands.ts';

/** The tables of cash-hardware.md 3.3 and 3.4, written down here once more by hand. */
const COMMAND_CODES = [
  ...[0x00, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a],
  ...[0x41, 0x50, 0x51, 0x60, 0xf0, 0xff],
];
const BILL_TO_BILL_COMMAND_CODES = [0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40];
const STATUS_CODES = [
  ...[0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c],
  ...[0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x80, 0x81, 0x82],
];
const BILL_TO_BILL_STATUS_CODES = [0x1d, 0x1e, 0x21, 0x25, 0x26, 0x28, 0x29];
const WITH_DETAIL = [0x1b, 0x1c, 0x47, 0x80, 0x81, 0x82];
const ANSWERING_CODES = [
  ...[0x10, 0x11, 0x12, 0x13, 0x19],
  ...[0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47],
];
const REJECT_CODES = [
  ...[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6c, 0x6d],
  ...[0x92, 0x93, 0x94, 0x95],
];
const FAILURE_CODES = [
  ...[0x22, 0x23, 0x30, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5f, 0x60],
  ...[0xf4, 0xfe],
];

const sorted = (codes: Iterable<number>) => [...codes].sort((one, other) => one - other);

const codesOf = (table: Readonly<Record<string, { readonly code: number }>>) =>
  sorted(Object.values(table).map(({ code }) => code));

const keysOf = (table: Readonly<Record<number, unknown>>) => sorted(Object.keys(table).map(Number));

test('every command is there, and none in the table twice', () => {
  expect(codesOf(commands)).toEqual(COMMAND_CODES);
  expect(keysOf(billToBillCommands)).toEqual(BILL_TO_BILL_COMMAND_CODES);
  const all = [...codesOf(commands), ...keysOf(billToBillCommands)];
  expect(new Set(all).size).toBe(all.length);
});

test('every state is there, and none is another or an answer that is no state', () => {
  expect(codesOf(statuses)).toEqual(STATUS_CODES);
  expect(keysOf(billToBillStatuses)).toEqual(BILL_TO_BILL_STATUS_CODES);
  const all = [...STATUS_CODES, ...BILL_TO_BILL_STATUS_CODES, ...Object.values(replies)];
  expect(new Set(all).size).toBe(all.length);
});

test('only three commands may move a note', () => {
  const moving = Object.entries(commands).flatMap(([name, { moves }]) => (moves ? [name] : []));
  expect(moving).toEqual(['reset', 'stack', 'return']);
});

test('some states have a second byte, and say who they are in some only', () => {
  const codesWhere = (wanted: (name: string) => boolean) =>
    Object.entries(statuses).flatMap(([name, { code }]) => (wanted(name) ? [code] : []));
  const answering = new Set<string>(answeringStatuses);
  expect(codesWhere((name) => answering.has(name))).toEqual(ANSWERING_CODES);
  const detailed = Object.values(statuses).flatMap(({ code, detail }) => (detail ? [code] : []));
  expect(detailed).toEqual(WITH_DETAIL);
});

test('reject reasons and failure codes are complete', () => {
  expect(keysOf(rejectReasons)).toEqual(REJECT_CODES);
  expect(keysOf(failures)).toEqual(FAILURE_CODES);
});

test('direction decides what 30, 41 and the like mean', () => {
  expect(decodeCommand(Uint8Array.of(0x41))).toBe('getBillTable');
  expect(decodeStatus(Uint8Array.of(0x41))?.name).toBe('cassetteFull');
  expect(decodeCommand(Uint8Array.of(0x30))).toBe('reset');
  expect(decodeStatus(Uint8Array.of(0x30))).toBeUndefined();
  expect(decodeCommand(Uint8Array.of(0x3c))).toBeUndefined();
});

test('only what a validator says is a state, and only with the bytes that it has', () => {
  expect(decodeStatus(Uint8Array.of(0x80, 4))).toEqual({ name: 'escrow', detail: 4 });
  expect(decodeStatus(Uint8Array.of(0x81))).toBeUndefined();
  expect(decodeStatus(Uint8Array.of(0x81, 4, 4))).toBeUndefined();
  expect(decodeStatus(Uint8Array.of(0x14, 0))).toBeUndefined();
  for (const code of [0x00, 0x30, 0xff, 0x16, ...BILL_TO_BILL_STATUS_CODES]) {
    expect(decodeStatus(Uint8Array.of(code))).toBeUndefined();
  }
  expect(decodeStatus(new Uint8Array(0))).toBeUndefined();
});

test('describes a state with its reason', () => {
  const words = 'rejecting: inhibited';
  expect(describeStatus({ name: 'rejecting', detail: 0x68 })).toBe(`1C:68 ${words}`);
  expect(describeStatus({ name: 'failure', detail: 0x50 })).toBe('47:50 failure: stack motor');
  expect(describeStatus({ name: 'failure', detail: 0x99 })).toBe('47:99 failure');
  expect(describeStatus({ name: 'idling', detail: undefined })).toBe('14 idling');
});
