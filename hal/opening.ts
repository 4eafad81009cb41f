/** Opening a port for a driver that may be closed in the middle of it. */
import { DeviceError } from '#protocol/base/errors.ts';
import type { LineSettings, Port } from './port.ts';

/**
 * Opens a port, and lets go of it again when it is not wanted any more by then.
 * @throws DeviceError as `Port.open` does, and `canceled`.
 */
export async function openUnlessClosed(
  port: Port,
  line: LineSettings,
  isClosed: () => boolean,
): Promise<void> {
  await port.open(line);
  if (!isClosed()) return;
  await port.close();
  throw closedWhile(port, 'the port was opened');
}

/** Whoever waited is told that the driver was closed, with the last bytes on its port. */
export function closedWhile(port: Port, what: string): DeviceError {
  return new DeviceError('canceled', `closed while ${what}`, { recording: port.recording() });
}
