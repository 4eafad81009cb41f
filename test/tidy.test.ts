/** The style is a test: who may import whom, how long things may be, and which calls are banned. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const LINES_MAX = 500;
/** A table of cases may be longer than code that is read from top to bottom. */
const TEST_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;
/** A long string, a regular expression or a frame in hex cannot be broken; all else can. */
const UNBREAKABLE = /'[^']{50,}'|`[^`]{50,}`|\/.{60,}\/|[0-9A-F]{2}( [0-9A-F]{2}){20}/;

/** What is not ours: git's own, and what it is told to ignore. A copy without git is judged too. */
const NOT_OURS = new Set([
  '.git',
  ...readFileSync(join(root, '.gitignore'), 'utf8').split(/\/?\n/),
]);

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (NOT_OURS.has(entry.name) || entry.name.endsWith('.log')) return [];
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

const files = filesIn('');
const sources = files.filter((file) => file.endsWith('.ts'));
const rooms = ['protocol', 'hal', 'state', 'agent', 'systemd', 'test'] as const;

const text = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Files of ours that a file imports, as paths from the root. */
function importsOf(file: string): string[] {
  const found = [...text(file).matchAll(/(?:from|import)\s*\(?\s*'([#.][^']+)'/g)];
  return found.map(([, target = '']) =>
    target.startsWith('#') ? target.slice(1) : normalize(join(dirname(file), target)),
  );
}

const roomOf = (file: string): string =>
  file.startsWith('protocol/base/') ? 'base' : (file.split('/')[0] ?? '');

/** Which rooms a room may import (design 2). */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: ['base'],
  protocol: ['base', 'protocol'],
  hal: ['base', 'hal'],
  state: ['base', 'state'],
  agent: ['base', 'protocol', 'hal', 'state', 'agent'],
  systemd: [],
  test: ['base', 'protocol', 'hal', 'state', 'agent', 'test'],
  'vitest.config.ts': ['test'],
};

test('the top level holds what design 2 fixes, and every room says what it is', () => {
  const folders = new Set(files.filter((file) => file.includes('/')).map((f) => f.split('/')[0]));
  folders.delete('.ci');
  expect([...folders].sort()).toEqual([...rooms].sort());
  for (const room of rooms) expect(files).toContain(`${room}/README.md`);
});

test('rooms import only what design 2 lets them', () => {
  const offences = sources.flatMap((file) =>
    importsOf(file)
      .filter((target) => rooms.some((room) => target.startsWith(`${room}/`)))
      .filter((target) => !allowed[roomOf(file)]?.includes(roomOf(target)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(offences).toEqual([]);
});

test('simulators are imported by the demo, by themselves and by tests only', () => {
  const offences = sources
    .filter((file) => !file.startsWith('test/') && !file.includes('/simulator/'))
    .filter((file) => !/^agent\/demo(\.ts|\/)/.test(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => target.includes('/simulator/'))
        .map((target) => `${file} imports ${target}`),
    );
  expect(offences).toEqual([]);
});

test('imports lead somewhere', () => {
  const offences = sources.flatMap((file) =>
    importsOf(file)
      .filter((target) => !existsSync(join(root, target)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(offences).toEqual([]);
});

test('files are at most 500 lines of at most 100 columns', () => {
  const offences = sources.flatMap((file) => {
    const lines = text(file).split('\n');
    const wide = lines.findIndex((line) => line.length > COLUMNS_MAX && !UNBREAKABLE.test(line));
    const most = file.startsWith('test/') ? TEST_LINES_MAX : LINES_MAX;
    return [
      ...(lines.length - 1 > most ? [`${file} has ${lines.length - 1} lines`] : []),
      ...(wide >= 0 ? [`${file}:${wide + 1} has ${lines[wide]?.length} columns`] : []),
    ];
  });
  expect(offences).toEqual([]);
});

/** Lines of each function by its indentation: the formatter closes it where it began. */
function longFunctions(file: string): string[] {
  const lines = text(file).split('\n');
  const opening =
    /^( *)(?:export )?(?:async )?(?:function\b|(?:static |override )?(?:async )?#?[a-zA-Z]\w*\(.*[^(]\{$|(?:get|set) \w+\(|constructor\()/;
  return lines.flatMap((line, at) => {
    const match = opening.exec(line);
    if (!match || /^\s*(?:if|for|while|switch|catch|describe|test|it)\b/.test(line)) return [];
    const end = lines.findIndex((other, i) => i > at && other === `${match[1]}}`);
    const length = end - at + 1;
    return end > 0 && length > FUNCTION_LINES_MAX ? [`${file}:${at + 1} has ${length} lines`] : [];
  });
}

test('functions are at most 70 lines', () => {
  const offences = sources.filter((file) => !file.startsWith('test/')).flatMap(longFunctions);
  expect(offences).toEqual([]);
});

test('time and randomness come from the clock alone', () => {
  const banned =
    /\b(?:Date\.now|Math\.random|setTimeout|setInterval|performance\.now)\s*\(|\bnew Date\(\)/;
  const offences = sources
    .filter((file) => file !== 'protocol/base/clock.ts' && !file.startsWith('test/'))
    .filter((file) => banned.test(text(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')));
  expect(offences).toEqual([]);
});

test('the environment is read in entry points only', () => {
  const offences = sources
    .filter((file) => !file.startsWith('test/') && /\bprocess\.env\b/.test(text(file)))
    .filter((file) => !/^agent\/(start|serve|demo|cli\/spire)\.ts$/.test(file));
  expect(offences).toEqual([]);
});

test('nothing is left to do, skipped or suppressed', () => {
  const marks = new RegExp(
    [
      'TO' + 'DO',
      'FIX' + 'ME',
      '@ts-' + 'ignore',
      '@ts-' + 'expect-error',
      'biome-' + 'ignore',
    ].join('|'),
  );
  const skipped = new RegExp(`\\b(?:test|it|describe)\\.${'(?:skip|only|todo)'}\\b`);
  const offences = sources.filter((file) => marks.test(text(file)) || skipped.test(text(file)));
  expect(offences).toEqual([]);
});
