/** `spire service accept-...`: what only a person on site can say, told to the running agent. */
import { Argument, type Command } from 'commander';
import { acceptResult } from '../../api/schemas.ts';
import { type CommandKey, commandVoice } from '../../texts/command.ts';
import { ask } from '../client.ts';
import { languageOf, languageOption, type Speaking } from '../language.ts';
import { jsonOption, print, socketOption, type Terminal } from '../terminal.ts';

interface AcceptOptions extends Speaking {
  readonly by: string;
  readonly reason: string;
}

/** Adds the verbs. */
export function addAccepting(service: Command, terminal: Terminal): void {
  const accepting = (name: string) =>
    service
      .command(name)
      .requiredOption('--by <name>')
      .requiredOption('--reason <words>')
      .addOption(languageOption())
      .addOption(jsonOption())
      .addOption(socketOption());
  const accept = async (options: AcceptOptions, path: string, more: object, key: CommandKey) => {
    const { socket: socketPath, by, reason } = options;
    const body = { ...more, by, reason };
    const result = await ask({ socketPath, path, schema: acceptResult, body });
    const say = commandVoice(await languageOf(options));
    print(terminal, options, result, () => say(key));
  };
  const devices = ['validator', 'dispenser'] as const;
  type Device = (typeof devices)[number];
  accepting('accept-device')
    .addArgument(new Argument('<device>').choices(devices))
    .action((device: Device, options: AcceptOptions) =>
      accept(options, '/v1/devices/acceptances', { device }, `accept.device.${device}`),
    );
  accepting('accept-anchor').action((options: AcceptOptions) =>
    accept(options, '/v1/anchor', {}, 'accept.anchor'),
  );
}
