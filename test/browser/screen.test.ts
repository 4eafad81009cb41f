/** The one-file screen in a real browser against the real server; only the service is scripted. */
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CommandResult, MachineView } from '#agent/api/schemas.ts';
import { type RunningApi, startApi } from '#agent/api/server.ts';
import { type Language, languages } from '#agent/texts/fill.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, SCREEN_FILE } from '#test/agent/api/harness.ts';
import {
  BOLT11,
  CLAIM_CODE,
  cashIn,
  cashOut,
  idleView,
  LNURL,
  REFERENCE,
  SESSION,
  screens,
} from '#test/agent/api/views.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const portrait = { width: 1080, height: 1920 };
const landscape = { width: 1280, height: 800 };
const WAIT_MS = 10_000;

let browser: Browser | undefined;
let service: FakeService;
let api: RunningApi;
let page: Page;
let tokenFile: string;
const faults: string[] = [];

const start = (port: number, language: Language = 'en') =>
  startApi({
    service,
    log: silentLog,
    clock: systemClock,
    random: systemRandom,
    screen: { host: '127.0.0.1', port, tokenFile },
    screenFile: SCREEN_FILE,
    language,
  });
const address = () => api.screenUrl ?? '';
const shown = (name: string) => page.waitForSelector(`body[data-screen="${name}"]`);
const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
const text = () => page.locator('body').innerText();

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
});
afterAll(() => browser?.close());
beforeEach(async () => {
  if (!browser) return;
  service = new FakeService();
  tokenFile = join(newFolder(), 'token');
  api = await start(0);
  page = await browser.newPage({ viewport: landscape });
  page.setDefaultTimeout(WAIT_MS);
  faults.length = 0;
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (/content security policy|trusted/i.test(message.text())) faults.push(message.text());
  });
  await page.goto(address());
  await shown('idle');
});
afterEach(async () => {
  if (!browser) return;
  await page.close();
  await api.close();
  expect(faults).toEqual([]);
});

/** What sticks out of the window or is cut off by its own box, and buttons too small to hit. */
const misfits = () =>
  page.evaluate<
    string[]
  >(`[...document.querySelectorAll('body, body *:not(script)')].flatMap((element) => {
    const box = element.getBoundingClientRect();
    const name = element.localName + ': ' + element.textContent.slice(0, 40);
    const out = box.left < -1 || box.top < -1 || box.right > innerWidth + 1 ||
      box.bottom > innerHeight + 1;
    const style = getComputedStyle(element);
    const cut = style.display !== 'inline' && (element.scrollWidth > element.clientWidth + 1 ||
      style.overflowY !== 'visible' && element.scrollHeight > element.clientHeight + 1);
    const small = element.localName === 'button' && (box.height < 88 || box.width < 88);
    return [out && 'out ' + name, cut && 'cut ' + name, small && 'small ' + name]
      .filter(Boolean);
  })`);
/** Boxes of main's parts that lie on one another. */
const overlaps = () =>
  page.evaluate<string[]>(`[...document.querySelectorAll('main, .body, .side, .two, .actions')]
    .flatMap((parent) => [...parent.children].map((child) => [child.textContent.slice(0, 40),
      child.getBoundingClientRect()]))
    .flatMap(([name, a], index, all) => all.slice(index + 1).filter(([, b]) =>
      a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1
      && !(a.left <= b.left && a.right >= b.right && a.top <= b.top && a.bottom >= b.bottom))
      .map(([other]) => name + ' / ' + other))`);

describe.each([
  ['portrait', portrait],
  ['landscape', landscape],
] as const)('%s', (_name, viewport) => {
  test.each(languages)('every screen is whole in %s, and its buttons can be hit', async (own) => {
    await page.setViewportSize(viewport);
    await api.close();
    api = await start(0, own);
    await page.goto(address());
    await page.reload();
    await shown('idle');
    for (const [name, view] of screens) {
      service.show(view);
      await expect
        .poll(() => page.evaluate('JSON.stringify(state.view)'))
        .toBe(JSON.stringify(view));
      if (payloadOf(view)) await drawn();
      const problems = [await misfits(), await overlaps(), missing(view, await text())].flat();
      expect([name, ...problems]).toEqual([name]);
    }
  });

  test('the keyboard is whole, with a message above it', async () => {
    await page.setViewportSize(viewport);
    await press('I have a code');
    await page.keyboard.type('harvest cannon umbrella drift velvet');
    service.answer = () => refusal('notFound', 'No code reads like this. Please check the words.');
    await press('OK');
    await page.getByText('No code reads like this').waitFor();
    expect(await misfits()).toEqual([]);
    expect(await overlaps()).toEqual([]);
  });
});

test.each([
  ['en', 'This machine is being serviced', 'Please come back later.'],
  ['es', 'Este cajero está en mantenimiento', 'Regrese más tarde, por favor.'],
] as const)(
  'while the machine is serviced it says so in %s, and whom to call',
  async (own, ...said) => {
    await api.close();
    api = await start(0, own);
    await page.goto(address());
    await page.reload();
    service.show({ ...idleView, state: 'exchange' });
    await shown('exchange');
    for (const words of [...said, idleView.supportContact]) {
      expect(await page.locator('main').innerText()).toContain(words);
    }
  },
);

const payloadOf = ({ session }: MachineView) =>
  session?.kind === 'cashIn' ? session.lnurl : session?.bolt11;
const drawn = () =>
  expect
    .poll(() => page.evaluate('document.getElementById("qr")?.naturalWidth'))
    .toBeGreaterThan(0);

/** What has to be on the screen and is not, and what must not be there. */
function missing({ supportContact, session }: MachineView, words: string): string[] {
  const wanted = [
    supportContact,
    session?.reference,
    session?.claimCode,
    session?.notice?.text,
    session?.outcome?.text,
  ].filter((one) => typeof one === 'string');
  // Plain words only: nothing of how the machine calls things inside.
  const inner = /principal|minor|escrow|lnurl|bolt11|wire|null|undefined|NaN/i.exec(words);
  return [...wanted.filter((one) => !words.includes(one)), ...(inner ?? [])];
}

/** Opens the page again with a clock that only the test moves. */
async function reloadWithOwnClock(): Promise<void> {
  await page.clock.install();
  await page.clock.pauseAt(systemClock.now() + 60_000);
  await page.goto('about:blank');
  await page.goto(address());
  await shown('idle');
  await page.clock.runFor(1_000);
}

/** Lets seconds pass on the page's clock while the agent goes on to send views. */
async function pass(seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    const view = { ...service.view(), rateMinorPerBtc: 9_000_000 + passed };
    service.show(view);
    await expect.poll(() => page.evaluate('state.view.rateMinorPerBtc')).toBe(view.rateMinorPerBtc);
    await page.clock.runFor(10_000);
  }
}

const refusal = (code: 'notFound' | 'closed', reason: string): CommandResult => ({
  ok: false,
  code,
  reason,
  step: 0,
});

test('cash-in: from the terms to the last screen by pressing alone', async () => {
  await press('Buy bitcoin Put in banknotes, get bitcoin in your Lightning wallet. Fee 8%');
  await expect.poll(() => service.commands.length).toBe(1);
  const session = service.commands[0]?.session ?? '';
  expect(session).toMatch(/^[0-9a-f]{32}$/);
  expect(service.commands[0]).toEqual({ do: 'startCashIn', session, step: 0 });

  service.show(cashIn({ session, step: 1 }));
  await shown('terms');
  const terms = await text();
  for (const word of ['$98,000', '8%', '$500', 'gives no change', '$1 $5 $10 $20 $50 $100']) {
    expect(terms.replace(/\s+/g, ' ')).toContain(word);
  }
  service.show(
    cashIn({
      session,
      step: 1,
      notes: 1,
      fiatMinor: 2_050,
      netSats: 19_000,
      claimCode: CLAIM_CODE,
    }),
  );
  await shown('inserting');
  expect(await text()).toContain('$20.50');
  await press('Finish');
  service.show(cashIn({ session, step: 2, phase: 'offering', notes: 1, lnurl: LNURL }));
  await shown('offering');
  await press('I am finished');
  await press('Yes, leave');
  service.show(cashIn({ session, step: 3, phase: 'ended', notes: 1 }));
  await shown('ended');
  await press('Done');
  await expect.poll(() => service.commands.length).toBe(4);
  expect(service.commands.slice(1)).toEqual([
    { do: 'finish', session, step: 1 },
    { do: 'dismiss', session, step: 2 },
    { do: 'dismiss', session, step: 3 },
  ]);
});

test('cash-out: amounts, invoice with a countdown, cancel asks first', async () => {
  const offeredMinor = Array.from({ length: 13 }, (_, index) => (index + 1) * 1_000);
  service.show(cashOut({ offeredMinor }));
  await press('More amounts');
  await press('$130');
  await expect
    .poll(() => service.commands)
    .toEqual([{ do: 'chooseAmount', amountMinor: 13_000, session: SESSION, step: 1 }]);
  const expiresAtUnixMs = systemClock.now() + 2_500;
  const paying = { phase: 'awaitingPayment', bolt11: BOLT11, expiresAtUnixMs, step: 2 } as const;
  service.show(cashOut(paying));
  await shown('paying');
  expect(await text()).toMatch(/0:0[123]/);
  await press('Cancel');
  await shown('payCancel');
  await press('Back');
  await shown('expired');
  expect(service.commands).toHaveLength(1);
});

test('a payment that comes while the customer thinks about leaving takes the question away', async () => {
  const live = { expiresAtUnixMs: systemClock.now() + 60_000, bolt11: BOLT11, step: 2 };
  service.show(cashOut({ ...live, phase: 'awaitingPayment' }));
  await shown('paying');
  await press('Cancel');
  await shown('payCancel');
  service.show(cashOut({ phase: 'dispensing', fiatMinor: 2_000, step: 2 }));
  await shown('dispensing');
  expect(service.commands).toEqual([]);
});

test('a code is typed by touch, and a wrong one can be mended', async () => {
  await press('I have a code');
  service.answer = () => refusal('notFound', 'No code reads like this.');
  for (const letter of 'abc de f g hx') await press(letter === ' ' ? 'Next word' : letter);
  await press('Erase');
  await press('OK');
  await page.getByText('No code reads like this.').waitFor();
  await press('Erase');
  await press('z');
  await press('OK');
  await expect.poll(() => service.commands.length).toBe(2);
  expect(service.commands.map((one) => one.do === 'redeem' && one.code)).toEqual([
    'abc de f g h',
    'abc de f g z',
  ]);
  const [first, second] = service.commands;
  expect(second?.session).not.toBe(first?.session);
});

test('a code half typed does not stay for the next customer', async () => {
  await reloadWithOwnClock();
  await press('I have a code');
  await page.keyboard.type('harvest');
  await pass(50);
  await page.keyboard.type('s');
  await pass(50);
  expect(await text()).toContain('harvests');
  await pass(10);
  await shown('idle');
  await page.clock.runFor(1_000);
  await press('I have a code');
  expect(await text()).not.toContain('harvest');
});

test('a closed direction says why and cannot be pressed', async () => {
  const reasons = [{ code: 'cashBoxFull', text: 'The cash box <b>is</b> full.' }];
  service.show({ ...idleView, cashIn: { open: false, reasons, feeFraction: null } });
  await page.getByText('The cash box <b>is</b> full.').waitFor();
  expect(await page.getByRole('button', { name: /Buy bitcoin/ }).isDisabled()).toBe(true);
  const open = page.getByRole('button', { name: /Sell bitcoin/ });
  await expect.poll(() => open.isEnabled()).toBe(true);
});

test('a customer chooses his language, and the next one finds that of the machine', async () => {
  await reloadWithOwnClock();
  const refused = { key: 'refusal.over', values: { reference: REFERENCE } };
  const reasons = [{ code: 'noRate', text: 'No price: c', key: 'reason.noRate' }];
  service.show({ ...idleView, cashIn: { open: false, reasons, feeFraction: null } });
  await page.getByText('There is no reliable bitcoin price now.').waitFor();
  await press('Español');
  await page.getByText('¿Qué desea hacer?').waitFor();
  expect(await page.evaluate('document.documentElement.lang')).toBe('es');
  expect(await text()).toContain('Por ahora no hay un precio confiable del bitcoin.');
  service.answer = () => ({ ...refusal('closed', 'Nothing is owed.'), ...refused });
  await page.clock.runFor(1_000);
  await page.getByRole('button', { name: /Vender bitcoin/ }).click();
  await page.getByText(`Ya no se debe nada (referencia ${REFERENCE}).`).waitFor();
  service.show(cashIn({ notes: 2, fiatMinor: 4_000, claimCode: CLAIM_CODE }));
  await page.getByText('2 billetes').waitFor();
  await page.getByText('Ha metido $40').waitFor();
  service.show(idleView);
  await page.getByText('What would you like to do?').waitFor();
  await page.clock.runFor(1_000);
  await press('Español');
  await page.getByText('¿Qué desea hacer?').waitFor();
  await pass(50);
  expect(await text()).toContain('¿Qué desea hacer?');
  await pass(20);
  expect(await text()).toContain('What would you like to do?');
});

test('a refused command shows its reason until the next press', async () => {
  service.answer = () => refusal('closed', 'The price has just changed too much.');
  await page.getByRole('button', { name: /Sell bitcoin/ }).click();
  await page.getByText('The price has just changed too much.').waitFor();
  await press('I have a code');
  expect(await text()).not.toContain('changed too much');
});

test('a finger that is down when the amounts change sets off nothing', async () => {
  service.show(cashOut({ offeredMinor: [2_000, 4_000] }));
  await page.getByRole('button', { name: '$20', exact: true }).click({ trial: true });
  const box = await page.getByRole('button', { name: '$20', exact: true }).boundingBox();
  await page.mouse.move((box?.x ?? 0) + 40, (box?.y ?? 0) + 40);
  await page.mouse.down();
  service.show(cashOut({ offeredMinor: [40_000, 50_000] }));
  await page.getByRole('button', { name: '$400', exact: true }).waitFor();
  await page.mouse.up();
  await press('Cancel');
  await expect.poll(() => service.commands.map((one) => one.do)).toEqual(['cancel']);
});

test('a second tap does not press what came up under the finger', async () => {
  await reloadWithOwnClock();
  service.show(cashIn({ notes: 1, fiatMinor: 2_000, claimCode: CLAIM_CODE }));
  await shown('inserting');
  const box = await page.getByRole('button', { name: 'Finish' }).boundingBox();
  service.show(cashIn({ phase: 'ended', step: 2 }));
  await shown('ended');
  await page.mouse.click((box?.x ?? 0) + 300, (box?.y ?? 0) + 40);
  await page.clock.runFor(1_000);
  expect(service.commands).toEqual([]);
  await press('Done');
  await expect.poll(() => service.commands.map((one) => one.do)).toEqual(['dismiss']);
});

test('a finger on a button survives news that leaves the button as it is', async () => {
  service.show(cashIn({ notes: 1, fiatMinor: 2_000, claimCode: CLAIM_CODE }));
  await page.getByRole('button', { name: 'Finish' }).click({ trial: true });
  await page.getByRole('button', { name: 'Finish' }).hover();
  await page.mouse.down();
  service.show(cashIn({ notes: 1, fiatMinor: 2_000, claimCode: CLAIM_CODE, netSats: 77_777 }));
  await page.getByText('77,777 sats').waitFor();
  await page.mouse.up();
  await expect.poll(() => service.commands.map((one) => one.do)).toEqual(['finish']);
});

test('the agent restarts: code and reference stay, and the command is repeated as it was', async () => {
  service.show(cashIn({ notes: 1, fiatMinor: 2_000, claimCode: CLAIM_CODE }));
  service.answer = () => new Promise(() => undefined);
  await press('Finish');
  await expect.poll(() => service.commands.length).toBe(1);
  const port = Number(new URL(address()).port);
  await api.close();
  await shown('lost');
  const words = await text();
  expect(words).toContain('No connection to the machine');
  expect(words).toContain(CLAIM_CODE);
  expect(words).toContain(REFERENCE);
  expect(words).toContain(idleView.supportContact);
  service.answer = ({ session, step }) => ({ ok: true, session, step: step + 1 });
  api = await start(port);
  await shown('inserting');
  await expect.poll(() => service.commands.length).toBe(2);
  expect(service.commands[1]).toEqual(service.commands[0]);
});

test('an address of another boot is told, and so is one without a token', async () => {
  for (const hash of ['', `#token=${'0'.repeat(32)}`]) {
    await page.goto('about:blank');
    await page.goto(address().replace(/#.*/, hash));
    await shown('refused');
    expect(await text()).toContain('has to be restarted');
  }
});

test('news is announced, a new screen has the focus, Tab goes through the buttons', async () => {
  const notice = { code: 'noteRefused', text: 'Your $100 note came back.' };
  service.show(cashIn({ notice }));
  await shown('terms');
  const live = page.locator('[role=status][aria-live=assertive]');
  await expect.poll(() => live.innerText()).toBe('! Your $100 note came back.');
  expect(await page.evaluate('document.activeElement.localName')).toBe('h1');
  await page.getByRole('button', { name: 'Cancel' }).click({ trial: true });
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Cancel');
  await page.keyboard.press('Enter');
  await expect.poll(() => service.commands.map((one) => one.do)).toEqual(['cancel']);
});
