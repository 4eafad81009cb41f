/** In which language people are told. */
import { Option } from 'commander';
import { machineView } from '../api/schemas.ts';
import { type Language, languages } from '../texts/fill.ts';
import { CommandError } from './exit.ts';
import { type Common, read } from './terminal.ts';

/** What a verb takes that speaks more than one language. */
export interface Speaking extends Common {
  readonly language?: Language;
}

/** Which language. */
export const languageOption = (): Option =>
  new Option('--language <language>', "the machine's own unless given").choices(languages);

/**
 * The one asked for, or the machine's own: as its agent says, or its configuration while nobody
 * does. Programs get the same in every language, and nobody is asked for them.
 */
export async function languageOf(
  options: Speaking & { readonly config: string },
): Promise<Language> {
  if (options.language || options.json) return options.language ?? 'en';
  try {
    return (await read(options, 'machine', machineView)).language;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // Loaded only here: it opens what belongs to the agent, which is away.
    const { languageWithoutAgent } = await import('../doctor/without-agent.ts');
    return languageWithoutAgent(options.config);
  }
}
