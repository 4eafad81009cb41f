/** What the runbooks tell a person to type is there: verbs, options, units and phrases of the log. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { inProcess } from './process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SYSTEMD = join(ROOT, 'systemd');
const RUNBOOKS = join(SYSTEMD, 'runbooks');
const pages = readdirSync(RUNBOOKS).map((name) => ({
  name,
  text: readFileSync(join(RUNBOOKS, name), 'utf8').replaceAll(/\\\n\s*/g, ''),
}));

/** Command lines of `spire`: in a block of their own, or within a sentence. */
function commandsIn(text: string): readonly string[] {
  const lines = text.matchAll(/^ *(?:sudo )?(spire [^\n]*)$/gm);
  const quoted = text.matchAll(/`(?:sudo )?(spire [^`]*)`/g);
  return [...lines, ...quoted].map(([, command = '']) => command.replaceAll(/\s+/g, ' '));
}

const commands = [...new Set(pages.flatMap(({ text }) => commandsIn(text)))];

/** The words before the first that is no verb. */
const verbsOf = (command: string): readonly string[] =>
  /^spire((?: [a-z][a-z-]*)*)/.exec(command)?.[1]?.trim().split(' ') ?? [];

describe('commands', () => {
  test('there are many, of every kind', () => {
    const first = new Set(commands.map((command) => verbsOf(command)[0]));
    expect(commands.length).toBeGreaterThan(20);
    expect([...first].toSorted()).toEqual(
      expect.arrayContaining(['backup', 'dispute', 'operator', 'pair', 'restore', 'update']),
    );
  });

  test.each(commands)('%s', async (command) => {
    const verbs = verbsOf(command);
    const { code, out } = await inProcess([...verbs, '--help']);
    expect([command, code]).toEqual([command, 0]);
    // Help of the verb itself, and not of what stands above it.
    expect(out).toMatch(new RegExp(`^\\S+ spire ${verbs[0]}\\b`));
    const [isWith] = command.split('#');
    for (const [option] of isWith?.matchAll(/(?<= )--[a-z][a-z-]*/g) ?? []) {
      expect(out).toContain(option);
    }
  });
});

test('every unit that a runbook names is there', () => {
  const named = pages.flatMap(({ text }) =>
    [...text.matchAll(/(?:systemctl [a-z]+(?: --now)?|-u) (spire-[a-z.-]+)/g)].map(
      ([, unit = '']) => (/\.(?:service|timer)$/.test(unit) ? unit : `${unit}.service`),
    ),
  );
  expect(new Set(named).size).toBeGreaterThan(2);
  expect(named.filter((unit) => !existsSync(join(SYSTEMD, unit)))).toEqual([]);
});

describe('the log', () => {
  let source = '';
  beforeAll(() => {
    source = ['agent', 'hal', 'protocol', 'state']
      .flatMap((room) =>
        readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
          .filter((path) => path.endsWith('.ts'))
          .map((path) => readFileSync(join(ROOT, room, path), 'utf8')),
      )
      .join('\n');
  });

  test('every phrase that is explained is one that is said', () => {
    const page = pages.find(({ name }) => name === 'log.md')?.text ?? '';
    const [, table = ''] = page.split('| phrase | means |');
    const phrases = [...table.matchAll(/^\| `([a-z ]+)` \|/gm)].map(([, phrase]) => phrase);
    expect(phrases.length).toBeGreaterThan(3);
    expect(phrases.filter((phrase) => !source.includes(`'${phrase}'`))).toEqual([]);
  });

  test('every room that says something is named', () => {
    const page = pages.find(({ name }) => name === 'log.md')?.text ?? '';
    const rooms = [...source.matchAll(/child\(\{ room: '([a-z]+)'/g)].map(([, room]) => room);
    expect(new Set(rooms).size).toBeGreaterThan(2);
    expect(rooms.filter((room) => !page.includes(`\`${room}\``))).toEqual([]);
  });
});
