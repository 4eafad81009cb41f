/** How `spire probe` is written, in either language. A device's own words stay as they came. */
import type { Language } from '../texts/fill.ts';
import { type SayStatus, statusVoice } from '../texts/status.ts';
import { plain, row, words } from './format.ts';
import type { ListedPort, ProbeResult } from './probe.ts';

/** Every port under its names. */
export function formatPorts(ports: readonly ListedPort[], language: Language = 'en'): string {
  const say = statusVoice(language);
  if (ports.length === 0) return say('noPort');
  return ports
    .map(({ path, links, usb, heldBy }) =>
      [
        plain(path),
        ...links.map((link) => row(say('row.also'), [link])),
        ...(usb ? [row(say('row.adapter'), [adapterWords(usb, say)])] : []),
        ...(heldBy === null ? [] : [row(say('row.heldBy'), [say(`held.${heldBy}`)])]),
      ].join('\n'),
    )
    .join('\n');
}

function adapterWords(usb: NonNullable<ListedPort['usb']>, say: SayStatus): string {
  const { vendorId, productId, manufacturer, product, serialNumber } = usb;
  const names = [manufacturer, product].filter((name) => name !== undefined).join(' ');
  const serial = serialNumber === undefined ? '' : `, ${say('serial', { serial: serialNumber })}`;
  return `${names} (USB ${vendorId}:${productId}${serial})`.trim();
}

/** Who is on a port, or what was tried there. */
export function formatDevice(
  { port, source, device, attempts }: ProbeResult,
  language: Language = 'en',
): string {
  const say = statusVoice(language);
  if (!device) {
    return [
      plain(say('nobody', { port })),
      ...attempts.map(({ protocol, model, outcome, text }) =>
        row(model ?? protocol, [outcome === 'other' ? text : outcome]),
      ),
    ].join('\n');
  }
  const { identity, condition, status, capabilities, counters } = device;
  const facts = (values: Readonly<Record<string, unknown>>) =>
    Object.entries(values).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const state = condition.text === '' ? condition.code : words(condition);
  const who = identity?.model ?? say('neverIdentified');
  return [
    row(say('row.port'), [source === 'agent' ? say('heldPort', { port }) : port]),
    row(say('row.device'), [`${say(`device.${device.device}`)}, ${who}`]),
    row(say('row.protocol'), [device.protocol]),
    row(say('row.firmware'), [identity?.firmware ?? '-']),
    row(say('row.serial'), [identity?.serialNumber ?? '-']),
    row(say('row.state'), [state, ...facts(status)]),
    ...(Object.keys(capabilities).length === 0 ? [] : [row(say('row.itCan'), facts(capabilities))]),
    ...(counters ? [row(say('row.counters'), facts(counters))] : []),
  ].join('\n');
}
