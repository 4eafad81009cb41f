/** Every sentence of `spire doctor` stands in the catalogue, in both languages. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatReport } from '#agent/cli/format.ts';
import { fault, reportOf, warning, well } from '#agent/doctor/findings.ts';
import { ageText, type DoctorKey, doctorText, doctorTexts, sentence } from '#agent/texts/doctor.ts';

const folder = join(import.meta.dirname, '../../../agent/doctor');
const code = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .join('\n')
  .replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
const { en, es } = doctorTexts;
const places = (text: string) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));

test('Spanish says all that English says, with the same values, and says it in Spanish', () => {
  expect(new Set(Object.keys(es))).toEqual(new Set(Object.keys(en)));
  for (const key of Object.keys(en) as DoctorKey[]) {
    // What customers are told stands before what the device has said.
    if (key === 'reason.closed') continue;
    expect([key, places(es[key])]).toEqual([key, places(en[key])]);
    expect([key, es[key]]).not.toEqual([key, en[key]]);
    expect(es[key].trim()).not.toBe('');
    expect([key, es[key].split('¿').length]).toEqual([key, es[key].split('?').length]);
  }
});

test('each sentence is used, and no other one stands in the examination', () => {
  const built =
    /^(age|level|count|subject|direction|purpose|relay|advice|device\.(?:none|ready))\./;
  const unused = Object.keys(en).filter((key) => !built.test(key) && !code.includes(`'${key}'`));
  expect(unused).toEqual([]);
  const literals = [...code.matchAll(/'[^'\n]*'|`[^`]*`/g)].map(String);
  const sentences = literals.filter((one) =>
    /\p{L}{2} \p{L}{2}/u.test(one.replaceAll(/\$\{[^}]*\}/g, '')),
  );
  // Who a device is, as it says so itself.
  expect(sentences.filter((one) => !one.includes('serial number'))).toEqual([]);
});

test('a report is said in either language, with ages and names of its own', () => {
  const subjects = '@subject.signer, @subject.rate';
  const report = reportOf(
    'running',
    [
      fault('cashIn', sentence('direction.closed', { direction: '@direction.cashIn', subjects }), {
        ...sentence('next.seeBelow', { subjects }),
      }),
      fault('cashOut', sentence('reason.closed', { code: 'noNotes', why: 'bay 1 is out' }), {
        ...sentence('advice.noNotes'),
      }),
      warning('backups', sentence('backups.newest', { count: 3, ageMs: 93_600_000 }), {
        ...sentence('next.backup'),
      }),
      well('disk', 'words of the disk'),
    ],
    0,
  );
  expect(formatReport(report)).toBe(
    [
      'FAULT        cashIn: Cash-in is closed: signer, rate.',
      '             > See what is said below of: signer, rate.',
      'FAULT        cashOut: bay 1 is out',
      '             > Fill the bays, and have the operator publish what is in them.',
      'WARNING      backups: The newest of 3 backups is 1 day old.',
      '             > Make one now: spire backup. Then see why the nightly one is',
      '             missing.',
      'ok           disk: words of the disk',
      '2 faults, 1 warning.',
    ].join('\n'),
  );
  expect(formatReport(report, 'es')).toBe(
    [
      'FALLA        depósitos: Depositar efectivo: cerrado por firmante, tipo de',
      '             cambio.',
      '             > Vea abajo lo que se dice de: firmante, tipo de cambio.',
      `FALLA        retiros: ${doctorText('es', sentence('reason.closed', { code: 'noNotes', why: 'bay 1 is out' }))}`,
      '             > Llene las bandejas, y pida al operador que publique lo que',
      '             contienen.',
      'AVISO        respaldos: El más reciente de 3 respaldos es de hace 1 día.',
      '             > Haga uno ahora: spire backup. Luego vea por qué falta el de la',
      '             noche.',
      'bien         disco: words of the disk',
      '2 fallas, 1 aviso.',
    ].join('\n'),
  );
});

test('words that no catalogue has are said as they came; a strange value names no sentence', () => {
  expect(doctorText('es', { key: 'newer.one', values: {} })).toBeUndefined();
  const newer = { key: 'newer.one', values: {} };
  const findings = [
    { ...well('newSubject', 'as the agent said it'), said: newer },
    // An agent of an earlier release says no keys.
    { subject: 'signer', level: 'warning', text: 'old words', next: 'old next' } as const,
  ];
  const text = formatReport({ ...reportOf('running', [], 0), level: 'warning', findings }, 'es');
  expect(text).toContain('newSubject: as the agent said it');
  expect(text).toContain('firmante: old words\n             > old next');
  const why = 'user@relay.payment and @nobody.here';
  expect(doctorText('es', sentence('disk.takesNothing', { why }))).toContain('@nobody.here');
  expect([999, 1_000, 120_000, 3_600_000].map((ms) => ageText('es', ms))).toEqual([
    ...['0 segundos', '1 segundo', '2 minutos', '1 hora'],
  ]);
});
