/** In which language people are told. */
import { Option } from 'commander';
import { machineView } from '../api/schemas.ts';
import { type Language, languages } from '../texts/fill.ts';
import { ask, DEFAULT_SOCKET } from './client.ts';
import { CommandError } from './exit.ts';
import { type Common, DEFAULT_CONFIG } from './terminal.ts';

/** Longest silence of an agent that is asked for its language alone, ms. */
const SILENCE_MS = 2_000;

/** What a verb takes that speaks more than one language. */
export interface Speaking extends Common {
  readonly language?: Language;
}

/** By what the language is found. */
export interface Spoken {
  readonly language?: Language | undefined;
  readonly json?: boolean | undefined;
  readonly socket?: string | undefined;
  readonly config?: string | undefined;
}

/** Which language. */
export const languageOption = (): Option => new Option('--language <language>').choices(languages);

/**
 * The one asked for, or the machine's own: as its agent says, or its configuration while nobody
 * does. Programs get the same in every language, and nobody is asked for them.
 */
export async function languageOf(spoken: Spoken): Promise<Language> {
  const { language, json, socket: socketPath = DEFAULT_SOCKET, config = DEFAULT_CONFIG } = spoken;
  if (language || json) return language ?? 'en';
  try {
    const question = { socketPath, path: '/v1/machine', schema: machineView };
    return (await ask({ ...question, silenceMs: SILENCE_MS })).language;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // Loaded only here: it opens what belongs to the agent, which is away.
    const { languageWithoutAgent } = await import('../doctor/without-agent.ts');
    return languageWithoutAgent(config);
  }
}

/** The same from a command line that may not be understood, for its help and for what is wrong. */
export function spokenIn(words: readonly string[]): Spoken {
  const given = (name: string): string | undefined => {
    const at = words.findLastIndex((word) => word === name || word.startsWith(`${name}=`));
    const word = words[at];
    return word === name ? words[at + 1] : word?.slice(name.length + 1);
  };
  const wanted = given('--language');
  return {
    language: languages.find((one) => one === wanted),
    json: words.includes('--json'),
    socket: given('--socket'),
    config: given('--config'),
  };
}
