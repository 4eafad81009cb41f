/** What `spire doctor` found, as sentences of the catalogue that every language can say. */
import { reasonText } from './customer.ts';
import { doctorEn } from './doctor-en.ts';
import { doctorEs } from './doctor-es.ts';
import { fill, type Language, type Values } from './fill.ts';

/** Names a sentence. */
export type DoctorKey = keyof typeof doctorEn;

/** Every sentence, by language. */
export const doctorTexts: Readonly<Record<Language, Readonly<Record<DoctorKey, string>>>> = {
  en: doctorEn,
  es: doctorEs,
};

/**
 * A sentence with what is put into it. A value `@subject.signer` is a text of the catalogue itself,
 * `ageMs` a length of time, which is said as `age`, and `code` a reason that customers are told.
 */
export interface Sentence {
  readonly key: DoctorKey;
  readonly values: Values;
}

/** A sentence of the catalogue. */
export const sentence = (key: DoctorKey, values: Values = {}): Sentence => ({ key, values });

const isKey = (key: string): key is DoctorKey => Object.hasOwn(doctorEn, key);

const UNITS = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
] as const;

/** A length of time in one unit, as `3 days`. */
export function ageText(language: Language, ms: number): string {
  const [size, name] = UNITS.find(([unit]) => ms >= unit) ?? UNITS[3];
  const count = Math.max(0, Math.floor(ms / size));
  return fill(doctorTexts[language][`age.${name}${count === 1 ? '' : 's'}`], { count });
}

/** The sentence in a language; undefined for one that a newer agent may have. */
export function doctorText(
  language: Language,
  { key, values }: { readonly key: string; readonly values: Values },
): string | undefined {
  if (!isKey(key)) return undefined;
  const texts = doctorTexts[language];
  const own = (value: string | number) =>
    String(value).replaceAll(/@([a-z]+\.[A-Za-z]+)/g, (whole, name: string) =>
      isKey(name) ? texts[name] : whole,
    );
  const said = Object.fromEntries(Object.entries(values).map(([name, one]) => [name, own(one)]));
  const reason =
    'code' in values ? { reason: reasonText(language, String(values.code)) ?? '' } : {};
  const age = 'ageMs' in values ? { age: ageText(language, Number(values.ageMs)) } : {};
  return fill(texts[key], { ...said, ...reason, ...age });
}

/** A short text of the catalogue, such as the name of a level; the word itself without one. */
export const doctorWord = (language: Language, key: string, word: string): string =>
  isKey(key) ? doctorTexts[language][key] : word;

/** The sentence in English, which programs and logs get. */
export const inEnglish = (said: Sentence): string => doctorText('en', said) ?? said.key;
