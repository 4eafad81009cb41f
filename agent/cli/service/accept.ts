/** `spire service accept-...`: what only a person on site can say, told to the running agent. */
import { Argument, type Command } from 'commander';
import { acceptResult } from '../../api/schemas.ts';
import { ask } from '../client.ts';
import { type Common, jsonOption, print, socketOption, type Terminal } from '../terminal.ts';

interface AcceptOptions extends Common {
  readonly by: string;
  readonly reason: string;
}

/** Adds the verbs. */
export function addAccepting(service: Command, terminal: Terminal): void {
  const accepting = (name: string, description: string) =>
    service
      .command(name)
      .description(description)
      .requiredOption('--by <name>', 'who says so')
      .requiredOption('--reason <words>', 'what was found, and done')
      .addOption(jsonOption())
      .addOption(socketOption());
  const accept = async (options: AcceptOptions, path: string, more: object, words: string) => {
    const { socket: socketPath, by, reason } = options;
    const body = { ...more, by, reason };
    const result = await ask({ socketPath, path, schema: acceptResult, body });
    print(terminal, options, result, () => words);
  };
  const device = new Argument('<device>', 'which one').choices(['validator', 'dispenser']);
  accepting('accept-device', 'a device that was unplugged, or is another one, may be used')
    .addArgument(device)
    .action((name: string, options: AcceptOptions) =>
      accept(options, '/v1/devices/acceptances', { device: name }, `The ${name} may be used.`),
    );
  accepting('accept-anchor', 'this machine is the right one; its twin is stopped for good').action(
    (options: AcceptOptions) =>
      accept(options, '/v1/anchor', {}, 'This machine is the right one from now on.'),
  );
}
