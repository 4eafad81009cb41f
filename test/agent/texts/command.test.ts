/** What a technician's commands say stands in the catalogue, in both languages; so does their help. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandTexts, commandWord, wayOut } from '#agent/texts/command.ts';
import { helpTexts } from '#agent/texts/help.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { screens } from '#test/agent/api/views.ts';
import { inProcess } from '#test/agent/cli/process.ts';

const folder = join(import.meta.dirname, '../../../agent/cli');
/** Commands that only the operator gives; they stay English, but for the line that names them. */
const OPERATORS = [
  ...['backup.ts', 'offline.ts', 'operator.ts', 'owner.ts', 'pair-verb.ts', 'pair.ts'],
  ...['restore.ts', 'state-files.ts', 'technician-document.ts', 'technician.ts', 'update.ts'],
  ...['update-order.ts', 'update-run.ts', 'update-state.ts'],
];
const sources = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: codeOf(readFileSync(join(folder, file), 'utf8')) }));
const spoken = sources.filter(({ file }) => !OPERATORS.includes(file));

function codeOf(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
const placeholders = (text: string) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));

describe.each([
  ['what the commands say', commandTexts.en, commandTexts.es],
  ['their help', helpTexts.en, helpTexts.es],
])('%s', (_name, en, es) => {
  const english = new Map<string, string>(Object.entries(en));

  test('Spanish says all that English says, with the same values, and says it in Spanish', () => {
    expect(new Set(Object.keys(es))).toEqual(new Set(english.keys()));
    for (const [key, text] of Object.entries(es)) {
      const original = english.get(key) ?? '';
      expect([key, placeholders(text)]).toEqual([key, placeholders(original)]);
      expect([key, text.trim()]).not.toEqual([key, '']);
      expect([key, text]).not.toEqual([key, original]);
      // A name on the left leaves a column before what it names.
      if (original.startsWith('  ')) expect([key, text.length <= 12]).toEqual([key, true]);
    }
  });
});

test('each text is used', () => {
  const verify = readFileSync(join(folder, '../exchange/verify-record.ts'), 'utf8');
  const code = [...sources.map(({ text }) => text), verify].join('\n');
  const built = /^(wayOut|owed\.state|accept\.device|documents)\./;
  const unused = Object.keys(commandTexts.en).filter(
    (key) => !built.test(key) && !code.includes(`'${key}'`),
  );
  expect(unused).toEqual([]);
});

test('no sentence for people stands in the commands that a technician gives', () => {
  expect(spoken.map(({ file }) => file)).toEqual(
    expect.arrayContaining(['program.ts', 'client.ts', 'obligations.ts', 'service/accept.ts']),
  );
  const offences = spoken.flatMap(({ file, text }) =>
    text
      .split('\n')
      .filter((line) => !/\.describe\(|assert\(|^\s*\/[^/]/.test(line))
      .flatMap((line) => [...line.matchAll(/'[^']*'|`[^`]*`|"[^"]*"/g)].map(String))
      .filter((literal) => /\p{L}{2} \p{L}{2}/u.test(literal.replaceAll(/\$\{[^}]*\}/g, '')))
      .map((literal) => `${file}: ${literal}`),
  );
  expect(offences).toEqual([]);
});

describe('help', () => {
  const verbs = [
    ...['status', 'documents', 'obligations', 'dispute', 'doctor', 'settle', 'journal', 'probe'],
    ...['service', 'service accept-device', 'service accept-anchor', 'service records', 'verify'],
  ];
  const words = (text: string) => new Set(text.match(/\p{L}{3,}/gu));

  test.each(verbs)('of %s: all of it in the language that is asked for', async (verb) => {
    const help = async (language: string) => {
      const line = [...verb.split(' '), '--help', '--language', language];
      const { code, out } = await inProcess(line);
      expect(code).toBe(0);
      for (const one of out.split('\n')) expect(one.length).toBeLessThanOrEqual(80);
      return out;
    };
    const [en, es] = [await help('en'), await help('es')];
    expect(es).toMatch(/^Uso: spire /);
    // What both have are names: of the command, of what it takes, of files.
    const names = words(
      `${verb} ${[...en.matchAll(/--?[\w-]+( <\w+>)?|<\w+>|"[^"]*"/g)].join(' ')}`,
    );
    const more = ['spire', 'json', 'API', 'Ctrl', 'JSON', 'records', 'settle', 'verify'];
    const told = en.replace(/^Usage: .*$/m, '').replaceAll(/^ {2}(--?\S+|\S+)( <\w+>)?/gm, '');
    const same = [...words(told)].filter(
      (word) => words(es).has(word) && !names.has(word) && !more.includes(word),
    );
    expect(same).toEqual([]);
  });

  test('nothing that a verb takes is left without a word', async () => {
    for (const verb of verbs) {
      const { out } = await inProcess([...verb.split(' '), '--help', '--language', 'es']);
      const bare = out.split('\n').filter((line) => /^ {2}(-|\w)\S*( <\w+>)?$/.test(line));
      expect([verb, bare]).toEqual([verb, []]);
    }
  });

  test('of the whole program, and of what an operator does, by its name', async () => {
    const { out } = await inProcess(['--help', '--language', 'es']);
    for (const text of [
      'Comandos:',
      'una visita: recargar',
      'pone otra versión',
      'intente de nuevo',
    ])
      expect(out).toContain(text);
  });
});

describe('wrong usage', () => {
  test.each([
    [['settle', 'X', '--by', 'Ana'], 'Hace falta la opción --reason <words>.'],
    [['settle'], 'Hace falta la opción --by <name>.'],
    [['dispute'], 'Falta name.'],
    [['frob'], 'No existe el comando frob.'],
    [['status', '--frob'], 'No existe la opción --frob.'],
    [['status', 'x'], 'Eso es más de lo que este comando recibe.'],
    [['journal', '--kind'], 'La opción --kind <kind> necesita un valor.'],
    [['journal', '--limit', '0'], '--limit no puede ser 0.\nTiene que ser un número de 1 a 1000.'],
    [['probe', '--currency', 'q'], '--currency no puede ser q.\nTiene que ser un código ISO 4217'],
    [
      ['service', 'accept-device', 'printer', '--by', 'Ana', '--reason', 'x'],
      'device no puede ser printer. Puede ser: validator, dispenser.',
    ],
  ])('%j is told in the language that is asked for', async (line, said) => {
    const [verb = '', ...rest] = line;
    const ended = await inProcess([verb, '--language=es', ...rest]);
    expect([ended.code, ended.err]).toEqual([2, expect.stringContaining(`spire: ${said}`)]);
    expect((await inProcess(line)).err).toMatch(/^(error|spire): /);
  });
});

test('a way out for each kind; a word that a newer agent has stays as it is', () => {
  expect(wayOut('surplusLink')).toContain('Delete that link');
  expect(commandWord('es', 'wayOut.surplusLink', 'x')).toContain('Borre ese enlace');
  expect(commandWord('es', 'owed.state.ofTomorrow', 'ofTomorrow')).toBe('ofTomorrow');
});

test('without a word about it: the machine’s own language, by its agent or its configuration', async () => {
  const idle = screens.find(([name]) => name === 'idle')?.[1] ?? screens[0]?.[1];
  if (!idle) throw new Error('there is no such screen');
  await using harness = await startHarness({
    service: new FakeService({ ...idle, language: 'es' }),
  });
  const { socketPath } = harness;
  const run = (...words: string[]) => inProcess([...words, `--socket=${socketPath}`]);
  expect((await run('service', '--help')).out).toMatch(/^Uso: spire service/);
  expect((await run('status', '--frob')).err).toContain('No existe la opción --frob.');
  expect((await run('settle', 'NOPE', '--by', 'Ana', '--reason', 'x')).err).toContain('sin cerrar');
  expect((await run('status', '--frob', '--json')).err).toContain('unknown option');
  expect((await run('status', '--frob', '--language', 'en')).err).toContain('unknown option');
  // Its agent is away: as it is configured.
  const config = join(newFolder(), 'spire.json');
  const device = { protocol: 'id003', port: '/dev/null' };
  const common = { currency: 'GTQ', support: { contact: '5555' }, language: 'es' };
  const limits = { max_cash_in_sats: null };
  const dispenser = { protocol: 'lcdm', model: 'lcdm-4000', port: '/dev/null' };
  writeFileSync(config, JSON.stringify({ ...common, validator: device, dispenser, limits }));
  const away = [`--socket=${join(newFolder(), 'none.sock')}`, '--config', config];
  expect((await inProcess(['doctor', '--help', ...away])).out).toMatch(/^Uso: spire doctor/);
  expect((await inProcess(['doctor', ...away])).out).toContain('El agente no está corriendo');
});
