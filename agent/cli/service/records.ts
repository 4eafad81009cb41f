/** `spire service records`: the records of all visits, as `spire verify` reads them. */
import type { Command } from 'commander';
import { z } from 'zod';
import { recordView } from '../../api/visit-schemas.ts';
import { ask } from '../client.ts';
import { languageOption } from '../language.ts';
import { type Common, socketOption, type Terminal } from '../terminal.ts';

/** Records of one answer. Source: `recordsQuery`. */
const PAGE = 200;

/** Adds the verb. */
export function addRecords(service: Command, terminal: Terminal): void {
  service
    .command('records')
    .addOption(languageOption())
    .addOption(socketOption())
    .action(async ({ socket: socketPath }: Pick<Common, 'socket'>) => {
      for (let after = 0; ; ) {
        const path = `/v1/service/records?after=${after}&limit=${PAGE}`;
        const records = await ask({ socketPath, path, schema: z.array(recordView) });
        for (const record of records) {
          terminal.out.write(`${JSON.stringify(record)}\n`);
          after = record.number;
        }
        if (records.length < PAGE) return;
      }
    });
}
