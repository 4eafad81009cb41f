/** What the other commands of a technician say: `obligations`, `verify`, `probe`, errors. */
import type { ObligationKind } from '#state/obligations.ts';
import { commandEn } from './command-en.ts';
import { commandEs } from './command-es.ts';
import { type Language, type Values, voiceOf } from './fill.ts';

/** Names a text. */
export type CommandKey = keyof typeof commandEn;

/** Every text, by language. */
export const commandTexts: Readonly<Record<Language, Readonly<Record<CommandKey, string>>>> = {
  en: commandEn,
  es: commandEs,
};

/** Says a text in one language. */
export type SayCommand = (key: CommandKey, values?: Values) => string;

/** The voice of one language. */
export const commandVoice: (language: Language) => SayCommand = voiceOf(commandTexts);

/** What a person does about each kind of debt or doubt, which is then closed by `spire settle`. */
export const wayOut = (kind: ObligationKind): string => commandTexts.en[`wayOut.${kind}`];

/** The text of a name that a newer agent may have; the name itself without one. */
export const commandWord = (language: Language, key: string, word: string): string => {
  const texts: Readonly<Record<string, string>> = commandTexts[language];
  return texts[key] ?? word;
};
