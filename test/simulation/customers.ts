/** What customers do in front of the machine, as far as it lets them. */
import type { CashInView, CashOutView, MachineView } from '#agent/api/schemas.ts';
import { type SimulatedDevice, SimulatorError } from '#hal/simulator/device.ts';
import type { Doing } from './plan.ts';
import type { Stage } from './stage.ts';
import { Violation } from './violation.ts';
import type { Watch } from './watch.ts';

type DoingOf<Kind extends Doing['kind']> = Extract<Doing, { readonly kind: Kind }>;

/** How long a customer waits for a machine that is closed, and for each of its answers. */
const OPEN_LIMIT_MS = 20_000;
const TURN_LIMIT_MS = 20_000;
const NOTE_LIMIT_MS = 40_000;
const LINK_LIMIT_MS = 90_000;
const INVOICE_LIMIT_MS = 60_000;
const CLAIM_LIMIT_MS = 40_000;
const END_LIMIT_MS = 300_000;
/** A hand that tries the slot again. */
const SLOT_PAUSE_MS = 250;
const SLOT_TRIES = 40;
/** Words of the list that no machine has given out. */
const WRONG_CODE = 'abandon abandon abandon abandon abandon';

const cashInOf = ({ session }: MachineView): CashInView | undefined =>
  session?.kind === 'cashIn' ? session : undefined;
const cashOutOf = ({ session }: MachineView): CashOutView | undefined =>
  session?.kind === 'cashOut' ? session : undefined;

/**
 * Carries out what a customer does; returns when they have left, or when the machine died. False
 * for one who came for nothing: it was closed.
 */
export async function visit(stage: Stage, doing: Doing): Promise<boolean> {
  let isServed = true;
  switch (doing.kind) {
    case 'deposit':
      isServed = await opens(stage, 'startCashIn');
      if (isServed) await deposit(stage, doing);
      break;
    case 'sale':
      isServed = await opens(stage, 'startCashOut');
      if (isServed) await sale(stage, doing);
      break;
    case 'redeem':
      await redeem(stage, doing);
      break;
    default:
      return true;
  }
  await leave(stage);
  return isServed || stage.isDead;
}

async function opens(stage: Stage, command: 'startCashIn' | 'startCashOut'): Promise<boolean> {
  const side = command === 'startCashIn' ? 'cashIn' : 'cashOut';
  const isOpen = (view: MachineView) => view.state === 'idle' && view[side].open;
  if (!(await stage.until(isOpen, OPEN_LIMIT_MS))) return false;
  return (await stage.act({ do: command })) === 'ok';
}

async function deposit(stage: Stage, doing: DoingOf<'deposit'>): Promise<void> {
  for (const note of doing.notes) {
    if (!(await insert(stage, note))) break;
    await stage.pause(doing.thinkMs);
  }
  if (stage.isDead) return;
  if (doing.ending === 'finish') await press(stage, 'finish');
  const isThere = (view: MachineView) => {
    const session = cashInOf(view);
    return !session || session.lnurl !== null || session.outcome !== null;
  };
  if (!(await stage.until(isThere, LINK_LIMIT_MS))) return;
  await take(stage, doing.claim, doing.claimAfterMs);
}

/** Takes the link that is on the screen, now, later or never. */
async function take(
  stage: Stage,
  when: DoingOf<'deposit'>['claim'],
  afterMs: number,
): Promise<void> {
  const view = stage.view();
  const lnurl = view && cashInOf(view)?.lnurl;
  if (!lnurl) return;
  if (when === 'later') stage.later(afterMs, () => stage.claim(lnurl));
  if (when !== 'atOnce') return;
  stage.claim(lnurl);
  await stage.until((now) => cashInOf(now)?.outcome !== null, CLAIM_LIMIT_MS);
}

/** Puts a note into the slot; false when the machine does not take it any more. */
async function insert(stage: Stage, note: number): Promise<boolean> {
  const isReady = (view: MachineView) => {
    const session = cashInOf(view);
    return !session || session.phase === 'inserting' || session.outcome !== null;
  };
  if (!(await stage.until(isReady, TURN_LIMIT_MS))) return false;
  const session = () => {
    const view = stage.view();
    return view && cashInOf(view);
  };
  if (session()?.phase !== 'inserting') return false;
  const before = session()?.notes ?? 0;
  const drawIn = () => reachFor(stage, 'validator', { do: 'insert', denomination: note });
  for (let tries = 0; !drawIn(); tries++) {
    await stage.pause(SLOT_PAUSE_MS);
    if (stage.isDead || tries >= SLOT_TRIES || session()?.phase !== 'inserting') return false;
  }
  const isOver = (view: MachineView) => {
    const now = cashInOf(view);
    if (!now || now.notes > before || now.outcome !== null) return true;
    return now.phase === 'inserting' && now.notice !== null;
  };
  // Some notes come back without a word; the customer looks whether the machine goes on.
  await stage.until(isOver, NOTE_LIMIT_MS);
  return !stage.isDead;
}

/** What a hand does at a device; false when it finds nothing to do. */
function reachFor(
  { machine }: Stage,
  device: 'validator' | 'dispenser',
  command: Parameters<SimulatedDevice['control']>[0],
): boolean {
  try {
    machine[device].control(command);
    return true;
  } catch (error) {
    if (error instanceof SimulatorError) return false;
    throw error;
  }
}

async function sale(stage: Stage, doing: DoingOf<'sale'>): Promise<void> {
  const isChoosing = (view: MachineView) => cashOutOf(view)?.phase !== 'preparing';
  if (!(await stage.until(isChoosing, TURN_LIMIT_MS))) return;
  const offered = stage.view()?.session;
  const amounts = offered?.kind === 'cashOut' ? offered.offeredMinor : [];
  const amountMinor = amounts[doing.choice % Math.max(1, amounts.length)];
  if (amountMinor === undefined) {
    await press(stage, 'cancel');
    return;
  }
  await stage.act({ do: 'chooseAmount', amountMinor });
  const isAsked = (view: MachineView) => {
    const session = cashOutOf(view);
    return !session || session.bolt11 !== null || session.outcome !== null;
  };
  if (!(await stage.until(isAsked, INVOICE_LIMIT_MS))) return;
  const view = stage.view();
  const bolt11 = view && cashOutOf(view)?.bolt11;
  if (bolt11) await payUp(stage, doing, bolt11);
}

async function payUp(stage: Stage, { pay, payAfterMs }: DoingOf<'sale'>, bolt11: string) {
  const isOver = (view: MachineView) => cashOutOf(view)?.outcome !== null;
  switch (pay) {
    case 'atOnce':
    case 'internal':
    case 'twice':
      // The phone pays, whether or not the machine is still alive.
      stage.later(payAfterMs, () => stage.pay(bolt11, { internal: pay === 'internal' }));
      if (pay === 'twice') stage.later(payAfterMs + 1_000, () => stage.pay(bolt11));
      break;
    case 'afterCancel':
      await press(stage, 'cancel');
      stage.later(payAfterMs, () => stage.pay(bolt11));
      break;
    case 'afterExpiry':
      await stage.until(isOver, END_LIMIT_MS);
      stage.later(payAfterMs, () => stage.pay(bolt11, { evenExpired: true }));
      break;
    case 'never':
      await press(stage, 'cancel');
  }
  await takeNotes(stage, isOver);
}

/** Waits for the end, and takes what comes out where the machine sees it lying there. */
async function takeNotes(stage: Stage, isOver: (view: MachineView) => boolean): Promise<void> {
  const isThere = (view: MachineView) => isOver(view) || cashOutOf(view)?.phase === 'presenting';
  if (!(await stage.until(isThere, END_LIMIT_MS))) return;
  reachFor(stage, 'dispenser', { do: 'take' });
  await stage.until(isOver, END_LIMIT_MS);
}

async function redeem(stage: Stage, { which, claims }: DoingOf<'redeem'>): Promise<void> {
  await redeemCode(stage, codeOf(stage.watch, which), claims);
}

/** Comes with five words, and takes what they bring. @throws Violation for words not known. */
export async function redeemCode(stage: Stage, code: string, claims: boolean): Promise<void> {
  const isFree = ({ state }: MachineView) => state === 'idle' || state === 'outOfService';
  if (!(await stage.until(isFree, OPEN_LIMIT_MS))) return;
  const result = await stage.act({ do: 'redeem', code });
  if (result === 'notFound' && code !== WRONG_CODE) {
    throw new Violation('value at risk has a code', 'the machine does not know its own words');
  }
  if (result !== 'ok') return;
  const isOver = ({ session }: MachineView) => session === null || session.outcome !== null;
  if (stage.view()?.session?.kind === 'cashOut') {
    await takeNotes(stage, isOver);
    return;
  }
  const isThere = (view: MachineView) => isOver(view) || (cashInOf(view)?.lnurl ?? null) !== null;
  if (!(await stage.until(isThere, END_LIMIT_MS))) return;
  await take(stage, claims ? 'atOnce' : 'never', 0);
}

function codeOf(watch: Watch, which: number | 'wrong'): string {
  const codes = [...watch.transactions.values()].flatMap(({ code }) => code ?? []).reverse();
  if (which === 'wrong') return WRONG_CODE;
  return codes[which % Math.max(1, codes.length)] ?? WRONG_CODE;
}

async function press(stage: Stage, what: 'finish' | 'cancel' | 'dismiss'): Promise<void> {
  if (stage.isDead || !stage.view()?.session) return;
  // It may be the wrong moment: then the customer can only wait.
  await stage.act({ do: what });
}

/** Leaves the last screen to the next customer; whoever is stuck waits for the end of it. */
async function leave(stage: Stage): Promise<void> {
  const isOver = ({ session }: MachineView) =>
    session === null || session.outcome !== null || cashInOf({ session } as MachineView)?.lnurl;
  if (stage.isDead) return;
  if (stage.view()?.session?.outcome === null) await press(stage, 'cancel');
  await stage.until((view) => Boolean(isOver(view)), END_LIMIT_MS);
  await press(stage, 'dismiss');
  await stage.until(({ session }) => session === null || session.outcome !== null, TURN_LIMIT_MS);
  await press(stage, 'dismiss');
  await stage.until(({ session }) => session === null, TURN_LIMIT_MS);
}
