/** The policy is what decides, and what operators read is the policy. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { classify } from '#agent/cash-out/classify.ts';
import { cutNotes, lostAnswers, recoveryPolicy } from '#agent/recovery/recovery-policy.ts';
import { commandTexts } from '#agent/texts/command.ts';
import { position } from '#protocol/base/ids.ts';

const runbook = readFileSync(
  join(import.meta.dirname, '../../../systemd/runbooks/recovery.md'),
  'utf8',
);

/** A table as the runbook has it. */
function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), `|${columns.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

const code = (word: string | null): string => (word === null ? '-' : `\`${word}\``);

test('the runbook says what becomes of the money, class by class', () => {
  const rows = Object.entries(recoveryPolicy).flatMap(([act, classes]) =>
    Object.entries(classes).map(([name, { proof, customer, owes, closes }]) => [
      `${act}, ${name}`,
      proof,
      customer,
      code(owes),
      closes,
    ]),
  );
  const columns = ['act and class', 'proof', 'the customer', 'listed as', 'closed'];
  expect(runbook).toContain(tableOf(columns, rows));
});

test('the runbook says what a lost answer and a cut note are worth, by device', () => {
  const answers = lostAnswers.map(({ unit, sequenceNumber, lastResult, class: name }) => [
    unit,
    sequenceNumber ?? '-',
    lastResult ?? '-',
    name,
  ]);
  const answerColumns = ['the dispenser', 'its number of commands', 'its last result', 'class'];
  expect(runbook).toContain(tableOf(answerColumns, answers));
  const notes = cutNotes.map(({ validator, says, class: name }) => [validator, says, name]);
  expect(runbook).toContain(tableOf(['the validator', 'says', 'class'], notes));
});

test('each debt and each doubt has a way out, and the runbook says it', () => {
  const waysOut = Object.entries(commandTexts.en).flatMap(([key, words]) =>
    key.startsWith('wayOut.') ? [[key.slice('wayOut.'.length), words] as const] : [],
  );
  const rows = waysOut.map(([kind, words]) => [code(kind), words]);
  expect(runbook).toContain(tableOf(['listed as', 'what to do'], rows));
  const owed = Object.values(recoveryPolicy)
    .flatMap((classes): readonly { readonly owes: string | null }[] => Object.values(classes))
    .flatMap(({ owes }) => owes ?? []);
  expect(new Set(owed)).toEqual(new Set(waysOut.map(([kind]) => kind)));
});

test.each(lostAnswers)('a unit that $unit: $sequenceNumber, $lastResult is $class', (row) => {
  const units = [{ position: position(1), count: 2 }];
  const numbers = { same: 7, 'one more': 8, other: 3 };
  const hex = row.lastResult === 'changed' ? 'bb' : 'aa';
  const result = (presented: number) =>
    classify({
      asked: units,
      outcome: { kind: 'unknown', evidence: 'silence' },
      status: {
        ...{ device: 'ready', path: 'clear', exit: 'clear', rejectTray: 'ok' },
        units: [],
        fault: undefined,
      },
      baseline: {
        lastResultHex: row.lastResult === null ? undefined : 'aa',
        sequenceNumber: row.sequenceNumber === null ? undefined : numbers.same,
      },
      last:
        row.lastResult === null
          ? undefined
          : {
              hex,
              dispense: {
                units: [{ position: position(1), presented, rejected: 0 }],
                error: { code: 'empty', text: 'empty', countsTrusted: true },
              },
            },
      sequenceNumber: row.sequenceNumber === null ? undefined : numbers[row.sequenceNumber],
    }).class;
  const classes = [2, 1, 0].map(result);
  const byCounts = ['exact', 'partial', 'none'];
  expect(classes).toEqual(row.class === 'counts' ? byCounts : byCounts.map(() => row.class));
});
