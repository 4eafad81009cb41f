/** What a technician is told, in the language of the machine or the one asked for. */
import type { RefusalWhy } from '../exchange/refusal.ts';
import { type Language, type Values, voiceOf } from './fill.ts';
import { technicianEn } from './technician-en.ts';
import { technicianEs } from './technician-es.ts';

/** Names a sentence. */
export type TechnicianKey = keyof typeof technicianEn;

/** Every sentence, by language. */
export const technicianTexts: Readonly<Record<Language, Readonly<Record<TechnicianKey, string>>>> =
  { en: technicianEn, es: technicianEs };

/** Says a sentence in one language. */
export type Speak = (key: TechnicianKey, values?: Values) => string;

/** The voice of one language. */
export const speaker: (language: Language) => Speak = voiceOf(technicianTexts);

const MINUTE_MS = 60_000;

/** Every word that the agent refuses with has a sentence. */
const whyKey = (why: RefusalWhy): TechnicianKey => `why.${why}`;

const isWhy = (why: string): why is RefusalWhy => Object.hasOwn(technicianEn, `why.${why}`);

/** Why the agent refused; undefined for a word that a newer agent may have. */
export function whyText(
  speak: Speak,
  why: { readonly code: string; readonly values: Values } | undefined,
): string | undefined {
  if (!why || !isWhy(why.code)) return undefined;
  const { waitMs = MINUTE_MS } = why.values;
  const minutes = Math.ceil(Number(waitMs) / MINUTE_MS);
  return speak(whyKey(why.code), { ...why.values, minutes });
}
