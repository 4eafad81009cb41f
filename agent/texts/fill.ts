/** Languages, and the one way to put values into a text. */

/** The languages that the catalogue has. */
export const languages = ['en', 'es'] as const;
/** One of them. */
export type Language = (typeof languages)[number];

/** What is put in for the `{name}`s of a text. */
export type Values = Readonly<Record<string, string | number>>;

/** The text with its `{name}`s filled in; one without a value stays as it is, to be seen. */
export const fill = (text: string, values: Values = {}): string =>
  text.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );

/** How a catalogue speaks: a language, then a text's name and what is put in. */
export const voiceOf =
  <Key extends string>(texts: Readonly<Record<Language, Readonly<Record<Key, string>>>>) =>
  (language: Language) =>
  (key: Key, values?: Values): string =>
    fill(texts[language][key], values);
