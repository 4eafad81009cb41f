/** The help of the command line. */
import type { Language } from './fill.ts';
import { helpEn } from './help-en.ts';
import { helpEs } from './help-es.ts';

/** Names a text. */
export type HelpKey = keyof typeof helpEn;

/** Every text, by language. */
export const helpTexts: Readonly<Record<Language, Readonly<Record<HelpKey, string>>>> = {
  en: helpEn,
  es: helpEs,
};

const isKey = (key: string): key is HelpKey => Object.hasOwn(helpEn, key);

/** The text of the first of some keys that there is. */
export const helpText = (language: Language, ...keys: readonly string[]): string | undefined => {
  const key = keys.find(isKey);
  return key && helpTexts[language][key];
};
