/** How a machine and its devices are, in the words of `spire status` and `spire probe`. */
import { reasonText } from './customer.ts';
import { type Language, type Values, voiceOf } from './fill.ts';
import { statusEn } from './status-en.ts';
import { statusEs } from './status-es.ts';

/** Names a text. */
export type StatusKey = keyof typeof statusEn;

/** Every text, by language. */
export const statusTexts: Readonly<Record<Language, Readonly<Record<StatusKey, string>>>> = {
  en: statusEn,
  es: statusEs,
};

/** Says a text in one language. */
export type SayStatus = (key: StatusKey, values?: Values) => string;

/** The voice of one language. */
export const statusVoice: (language: Language) => SayStatus = voiceOf(statusTexts);

/**
 * Why a direction is closed. The details are the operator's and English; in another language what
 * customers are told stands before them.
 */
export function closedText(
  language: Language,
  { code, text }: { readonly code: string; readonly text: string },
): string {
  const own = language === 'en' ? undefined : reasonText(language, code);
  return own === undefined ? `${code}: ${text}` : `${code}: ${own} (${text})`;
}
