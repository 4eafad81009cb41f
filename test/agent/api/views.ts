/** One machine view for every screen, with figures of a real trade at 98,000 USD. */
import type { CashInView, CashOutView, MachineView } from '#agent/api/schemas.ts';

export const SESSION = '00112233445566778899aabbccddeeff';
export const CLAIM_CODE = 'harvest cannon umbrella drift velvet';
export const REFERENCE = 'K7Q4-9XMB';
export const LNURL =
  'LNURL1DP68GURN8GHJ7MRWW4EXCTNXD9SHG6NPVCHXXMMD9AKXUATJDSKHW6T5DPJ8YCTH8AEK2UMND9HKU0FKX9NXVE' +
  'PJ8QUNVDMYX5URGVP5XCMRWVF4VYCNWWPE8PNRGDE38Q6RVDE3XSUNVVPSVSCRZ';
export const BOLT11 = `lnbc10749u1p5${'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.repeat(9)}`;
/** So far ahead that an invoice of the fixtures is live whenever the tests run. */
export const FAR_UNIX_MS = Date.UTC(2100, 0, 1);

export const idleView: MachineView = {
  state: 'idle',
  currency: 'USD',
  language: 'en',
  minorDigits: 2,
  supportContact: '+1 555 010 7788',
  cashIn: { open: true, reasons: [], feeFraction: 0.08 },
  cashOut: { open: true, reasons: [], feeFraction: 0.0777 },
  rateMinorPerBtc: 9_800_000,
  session: null,
};

const closedReason = { code: 'cashBoxFull', text: 'The cash box is full.' };
const walletReason = {
  code: 'walletUnreachable',
  text: 'The operator’s wallet cannot be reached at the moment.',
};

export const cashInSession: CashInView = {
  kind: 'cashIn',
  session: SESSION,
  step: 1,
  reference: REFERENCE,
  claimCode: null,
  notice: null,
  outcome: null,
  phase: 'inserting',
  terms: {
    rateMinorPerBtc: 9_800_000,
    feeFraction: 0.08,
    capSats: 510_204,
    capMinor: 50_000,
    acceptedMinor: [100, 500, 1_000, 2_000, 5_000, 10_000],
  },
  notes: 0,
  fiatMinor: 0,
  principalSats: 0,
  feeSats: 0,
  netSats: 0,
  lnurl: null,
};

export const cashOutSession: CashOutView = {
  kind: 'cashOut',
  session: SESSION,
  step: 1,
  reference: REFERENCE,
  claimCode: null,
  notice: null,
  outcome: null,
  phase: 'choosing',
  offeredMinor: [2_000, 4_000, 5_000, 6_000, 8_000, 10_000, 20_000, 30_000, 50_000],
  fiatMinor: 0,
  principalSats: 0,
  feeSats: 0,
  wireSats: 0,
  feeFraction: 0.0777,
  rateMinorPerBtc: 9_800_000,
  bolt11: null,
  expiresAtUnixMs: null,
  dispensedMinor: 0,
  dispensed: {},
  remainderMinor: 0,
};

/** The machine in a cash-in that differs from the plain one by these fields. */
export function cashIn(fields: Partial<CashInView>): MachineView {
  return { ...idleView, state: 'cashIn', session: { ...cashInSession, ...fields } };
}

/** The machine in a cash-out that differs from the plain one by these fields. */
export function cashOut(fields: Partial<CashOutView>): MachineView {
  return { ...idleView, state: 'cashOut', session: { ...cashOutSession, ...fields } };
}

const inserted = {
  notes: 3,
  fiatMinor: 6_000,
  principalSats: 61_224,
  feeSats: 4_898,
  netSats: 56_326,
  claimCode: CLAIM_CODE,
};
const quoted = {
  fiatMinor: 10_000,
  principalSats: 102_041,
  feeSats: 7_929,
  wireSats: 109_970,
  claimCode: CLAIM_CODE,
  offeredMinor: [],
};

/** Every screen that a view alone brings up: its name and the view. */
export const screens: readonly (readonly [name: string, MachineView])[] = [
  ['starting', { ...idleView, state: 'starting', rateMinorPerBtc: null }],
  ['recovering', { ...idleView, state: 'recovering', rateMinorPerBtc: null }],
  ['exchange', { ...idleView, state: 'exchange' }],
  ['stopping', { ...idleView, state: 'stopping' }],
  [
    'outOfService',
    {
      ...idleView,
      state: 'outOfService',
      rateMinorPerBtc: null,
      cashIn: { open: false, reasons: [closedReason, walletReason], feeFraction: null },
      cashOut: { open: false, reasons: [walletReason], feeFraction: null },
    },
  ],
  ['idle', idleView],
  [
    'idleHalfClosed',
    {
      ...idleView,
      cashIn: { open: false, reasons: [closedReason, walletReason], feeFraction: 0.08 },
    },
  ],
  ['quoting', cashIn({ phase: 'quoting', terms: null, reference: null, step: 1 })],
  ['terms', cashIn({})],
  [
    'termsRefused',
    cashIn({
      notice: {
        code: 'noteRefused',
        text:
          'Your $100 note came back: it passes the limit of this machine. ' +
          'The highest note that fits is $50.',
      },
    }),
  ],
  ['firstNoteMoving', cashIn({ phase: 'moving', claimCode: CLAIM_CODE })],
  ['inserting', cashIn({ ...inserted, step: 1 })],
  [
    'insertingRefused',
    cashIn({
      ...inserted,
      notice: {
        code: 'noteRefused',
        text:
          'Your $100 note came back: it passes the limit of this machine. ' +
          'The highest note that fits is $50.',
      },
    }),
  ],
  [
    'insertingFull',
    cashIn({ ...inserted, terms: { ...requiredTerms(), acceptedMinor: [], capMinor: 6_000 } }),
  ],
  ['moving', cashIn({ ...inserted, phase: 'moving' })],
  ['issuing', cashIn({ ...inserted, phase: 'issuing' })],
  ['offering', cashIn({ ...inserted, phase: 'offering', lnurl: LNURL, step: 2 })],
  ['dark', cashIn({ ...inserted, phase: 'offering', lnurl: null, step: 2 })],
  [
    'cashInEnded',
    cashIn({
      ...inserted,
      phase: 'ended',
      claimCode: null,
      outcome: { code: 'claimed', text: 'Your wallet has the bitcoin. Thank you!' },
    }),
  ],
  [
    'cashInOwed',
    cashIn({
      ...inserted,
      phase: 'ended',
      outcome: {
        code: 'needsOperator',
        text: 'Your bitcoin could not be prepared. The operator has been told and owes it to you.',
      },
    }),
  ],
  ['choosing', cashOut({})],
  [
    'choosingMany',
    cashOut({ offeredMinor: Array.from({ length: 30 }, (_, index) => (index + 1) * 2_000) }),
  ],
  ['choosingNothing', cashOut({ offeredMinor: [] })],
  ['preparing', cashOut({ phase: 'preparing', fiatMinor: 10_000 })],
  [
    'paying',
    cashOut({
      ...quoted,
      phase: 'awaitingPayment',
      bolt11: BOLT11,
      expiresAtUnixMs: FAR_UNIX_MS,
      step: 2,
    }),
  ],
  ['expired', cashOut({ ...quoted, phase: 'awaitingPayment', bolt11: null, expiresAtUnixMs: 1 })],
  ['dispensing', cashOut({ ...quoted, phase: 'dispensing', dispensedMinor: 4_000 })],
  ['presenting', cashOut({ ...quoted, phase: 'presenting', dispensedMinor: 10_000 })],
  [
    'cashOutEnded',
    cashOut({
      ...quoted,
      phase: 'ended',
      claimCode: null,
      dispensedMinor: 10_000,
      dispensed: { '1': 5 },
      outcome: { code: 'dispensed', text: 'All done. Thank you!' },
    }),
  ],
  [
    'cashOutRemainder',
    cashOut({
      ...quoted,
      phase: 'ended',
      dispensedMinor: 6_000,
      dispensed: { '1': 3 },
      remainderMinor: 4_000,
      outcome: {
        code: 'remainder',
        text: 'The machine could not hand out all of your notes.',
      },
    }),
  ],
];

function requiredTerms() {
  if (!cashInSession.terms) throw new Error('the plain cash-in has terms');
  return cashInSession.terms;
}
