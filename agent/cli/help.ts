/** Help and wrong usage, in the language of who reads them. */
import { type Command, type CommanderError, Help } from 'commander';
import { commandVoice } from '../texts/command.ts';
import type { Language } from '../texts/fill.ts';
import { type HelpKey, helpText, helpTexts } from '../texts/help.ts';

/** The library's own words, and ours for them. */
const TITLES: Readonly<Record<string, HelpKey>> = {
  'Usage:': 'title.usage',
  'Arguments:': 'title.arguments',
  'Options:': 'title.options',
  'Commands:': 'title.commands',
};

/** Has verbs that are added from now on speak a language. */
export function speakHelp(program: Command, language: Language): void {
  const texts = helpTexts[language];
  const base = new Help();
  const extra = (described: string): string =>
    described
      .replace('choices: ', `${texts['title.choices']}: `)
      .replace('default: ', `${texts['title.default']}: `);
  program
    .configureHelp({
      styleTitle: (title) => {
        const key = TITLES[title];
        return key ? texts[key] : title;
      },
      commandUsage: (command) =>
        base
          .commandUsage(command)
          .replace('[options]', texts['title.anyOptions'])
          .replace('[command]', texts['title.anyCommand']),
      subcommandTerm: (command) =>
        base.subcommandTerm(command).replace('[options]', texts['title.anyOptions']),
      optionDescription: (option) => extra(base.optionDescription(option)),
      argumentDescription: (argument) => extra(base.argumentDescription(argument)),
    })
    .helpOption('-h, --help', texts['--help'])
    .helpCommand(`help ${texts['title.anyCommand']}`, texts.help);
}

/** Gives every verb, option and argument its text of the catalogue, where it has one. */
export function describe(program: Command, language: Language): void {
  program
    .description(helpTexts[language].spire)
    .addHelpText('after', `\n${helpTexts[language]['spire.codes']}`);
  for (const option of program.options) {
    option.description = helpText(language, option.long ?? '') ?? option.description;
  }
  for (const verb of program.commands) describeVerb(verb, verb.name(), language);
}

function describeVerb(verb: Command, path: string, language: Language): void {
  const own = (word: string, ...others: string[]) =>
    helpText(language, `${path} ${word}`, ...others);
  verb.description(helpText(language, path) ?? verb.description());
  for (const option of verb.options) {
    const long = option.long ?? '';
    option.description = own(long) ?? (option.description || (helpText(language, long) ?? ''));
  }
  for (const argument of verb.registeredArguments) {
    argument.description = own(argument.name()) ?? argument.description;
  }
  for (const one of verb.commands) describeVerb(one, `${path} ${one.name()}`, language);
}

/** What the library found wrong with a command line. */
export function usageText({ code, message }: CommanderError, language: Language): string {
  const say = commandVoice(language);
  const help = say('usage.help');
  // The library speaks English by itself.
  if (language === 'en') return `${message}\n${help}`;
  const quoted = [...message.matchAll(/'([^']*)'/g)].map(([, word = '']) => word);
  const [, choices] = /Allowed choices are (.*)\.$/m.exec(message) ?? [];
  const isArgument = message.includes('command-argument');
  const [what = '', value = ''] = isArgument ? quoted.toReversed() : quoted;
  const values = { what, value };
  const found = say(keyOf(code), values);
  const more = choices === undefined ? '' : ` ${say('usage.choices', { choices })}`;
  return `spire: ${found}${more}\n${help}`;
}

const KEYS = {
  'commander.unknownOption': 'usage.unknownOption',
  'commander.unknownCommand': 'usage.unknownCommand',
  'commander.missingArgument': 'usage.missingArgument',
  'commander.optionMissingArgument': 'usage.optionMissingArgument',
  'commander.missingMandatoryOptionValue': 'usage.missingMandatoryOptionValue',
  'commander.invalidArgument': 'usage.invalidArgument',
} as const;

const isKnown = (code: string): code is keyof typeof KEYS => Object.hasOwn(KEYS, code);
const keyOf = (code: string) => (isKnown(code) ? KEYS[code] : 'usage.excessArguments');
