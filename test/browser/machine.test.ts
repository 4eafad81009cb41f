/** A cash-in and a cash-out done on the screen, in a real browser, on the whole machine. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '#agent/api/server.ts';
import {
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from '#agent/demo/machine.ts';
import { differences, truthOf } from '#agent/demo/truth.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { SimulatorError } from '#hal/simulator/device.ts';
import { sleep, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { World } from '#protocol/simulator/world.ts';

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
const WAIT_MS = 30_000;
const context = { clock: systemClock, random: systemRandom, log: silentLog };
const devices = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'lcdm', model: 'lcdm-4000' },
};

let folder: string;
let world: World;
let hardware: Hardware;
let agent: Agent;
let api: RunningApi;
let browser: Browser;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spire-browser-'));
  world = await openWorld(context, folder, devices);
  hardware = await openHardware(context, folder, devices, false);
  await pairOnce(context, world, join(folder, 'state'));
  const config = demoConfig(folder, devices, hardware.ports, 0);
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  agent = startAgent({
    ...context,
    config,
    acceptor: makeAcceptor({
      ...common,
      ...devices.validator,
      port: hardware.ports.validator,
      currency: config.currency,
    }),
    dispenser: makeDispenser({ ...common, ...devices.dispenser, port: hardware.ports.dispenser }),
  });
  api = await startApi({
    ...context,
    service: agent.service,
    screen: { host: '127.0.0.1', port: 0 },
    screenFile: join(import.meta.dirname, '../../agent/screen/index.html'),
  });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  await payload(() => {
    const { state, cashIn, cashOut } = agent.service.view();
    return state === 'idle' && cashIn.open && cashOut.open ? 'in service' : undefined;
  });
}, 60_000);

afterAll(async () => {
  await browser.close();
  await api.close();
  await agent.stop();
  hardware.stop();
  await world.stop();
  rmSync(folder, { recursive: true, force: true });
});

/**
 * After a change the screen ignores presses for 350 ms: a second tap was meant for the last
 * one.
 */
const SETTLE_MS = 400;
async function press(page: Page, name: RegExp): Promise<void> {
  const button = page.getByRole('button', { name }).first();
  await button.waitFor({ timeout: WAIT_MS });
  await sleep(systemClock, SETTLE_MS);
  await button.click({ timeout: WAIT_MS });
}
const says = (page: Page, text: RegExp) =>
  page.getByText(text).first().waitFor({ timeout: WAIT_MS });
/** The QR payload is the machine's word; the picture was decoded when the screen was made. */
async function payload(pick: () => string | null | undefined): Promise<string> {
  for (let look = 0; look < 300; look++) {
    const found = pick();
    if (found) return found;
    await sleep(systemClock, 100);
  }
  throw new Error('no code came on the screen');
}
async function insert(denomination: number): Promise<void> {
  for (let push = 0; ; push++) {
    try {
      hardware.validator.control({ do: 'insert', denomination });
      return;
    } catch (error) {
      if (!(error instanceof SimulatorError) || push > 100) throw error;
      await sleep(systemClock, 100);
    }
  }
}
const twenties = ({ validator }: ReturnType<typeof truthOf>): number =>
  Object.entries(validator.cashbox).find(([value]) => value === '20')?.[1] ?? 0;
const noOverflow = (page: Page) =>
  page.evaluate<boolean>(`(({ scrollWidth, scrollHeight, clientWidth, clientHeight }) =>
    scrollWidth <= clientWidth && scrollHeight <= clientHeight)(document.documentElement)`);

for (const viewport of [
  { width: 1080, height: 1920 },
  { width: 1280, height: 800 },
]) {
  test(`cash in and cash out at ${viewport.width}x${viewport.height}`, async () => {
    const page = await browser.newPage({ viewport });
    const before = truthOf(hardware);
    const booked = agent.store.journal.count();
    await page.goto(api.screenUrl ?? '');
    await press(page, /^Buy bitcoin/);
    await says(page, /gives no change/);
    await insert(20);
    await says(page, /\$20/);
    const code = await payload(() => agent.service.view().session?.claimCode);
    await says(page, new RegExp(code.split(' ')[0] ?? ''));
    await press(page, /^Finish$/);
    await says(page, /Scan to get your bitcoin/);
    expect(await noOverflow(page)).toBe(true);
    const lnurl = await payload(() => {
      const { session } = agent.service.view();
      return session?.kind === 'cashIn' ? session.lnurl : undefined;
    });
    expect(world.keeper.claim(lnurl)).toMatchObject({ ok: true });
    await says(page, /Your sats have been claimed/);
    await says(page, /\+1 555 0100/);
    await press(page, /^Done$/);

    await press(page, /^Sell bitcoin/);
    await press(page, /^\$70/);
    await says(page, /Scan and pay/);
    expect(await noOverflow(page)).toBe(true);
    const bolt11 = await payload(() => {
      const { session } = agent.service.view();
      return session?.kind === 'cashOut' ? session.bolt11 : undefined;
    });
    expect(world.keeper.pay(bolt11)).toMatchObject({ ok: true });
    await press(page, /^Done$/);
    await says(page, /What would you like to do/);
    await page.close();

    const now = truthOf(hardware);
    expect(twenties(now)).toBe(twenties(before) + 1);
    expect(agent.store.journal.count()).toBeGreaterThan(booked);
    const nothing = { units: {}, reject: {}, cashbox: {}, path: {}, customer: {} };
    const start = { validator: nothing, dispenser: nothing };
    expect(differences(agent.store, start, now, world, 'USD')).toEqual([]);
  }, 90_000);
}
