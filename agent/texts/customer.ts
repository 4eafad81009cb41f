/** What the machine says to a customer: a sentence of the catalogue, under a code for programs. */
import type { ReasonCode } from '../watch/reasons.ts';
import { saidEn, screenEn } from './customer-en.ts';
import { saidEs, screenEs } from './customer-es.ts';
import { fill, type Language, type Values } from './fill.ts';

/** Names a sentence. */
export type SaidKey = keyof typeof saidEn;

/** The screen's words and the machine's sentences, by language. */
export const customerTexts: Readonly<
  Record<
    Language,
    {
      readonly screen: Readonly<Record<keyof typeof screenEn, string>>;
      readonly said: Readonly<Record<SaidKey, string>>;
    }
  >
> = {
  en: { screen: screenEn, said: saidEn },
  es: { screen: screenEs, said: saidEs },
};

/**
 * A sentence: its stable code, its English, and what another language needs to say the same.
 */
export interface Said {
  readonly code: string;
  readonly text: string;
  readonly key?: string | undefined;
  readonly values?: Values | undefined;
}

/** A sentence of the catalogue. */
export function say(code: string, key: SaidKey, values?: Values): Said {
  const text = fill(saidEn[key], values);
  return values === undefined ? { code, text, key } : { code, text, key, values };
}

/** The customer's sentence for a closed direction; the operator's, with its details, is kept. */
export const reasonKey = (code: ReasonCode): SaidKey => `reason.${code}`;

/** The same in a language; undefined for a reason that a newer agent may have. */
export function reasonText(language: Language, code: string): string | undefined {
  const key = `reason.${code}`;
  return isSaidKey(key) ? customerTexts[language].said[key] : undefined;
}

/** Whether the catalogue has such a sentence. */
export const isSaidKey = (key: string): key is SaidKey => Object.hasOwn(saidEn, key);
