/**
 * Every word of SIO, one byte each. The device says a host's command again when it has heard it.
 * Source: ITL "simple serial I/O" as the firmwares of FOSSA and Bleskomat use it; cash-hardware.md
 * 5.8. What the answers to STATUS, FIRMWARE and DATASET look like is in no public source.
 */

/** Channels of a dataset; the byte of a note is the number of its channel. */
export const CHANNELS_MAX = 16;

interface CommandDefinition {
  readonly code: number;
  /** It may move a note: it is sent once. */
  readonly moves: boolean;
}

/** Host to device, beside those of one channel. */
export const commands = {
  escrowOn: { code: 170, moves: false },
  escrowOff: { code: 171, moves: false },
  /** Puts the note in escrow into the cash box. */
  accept: { code: 172, moves: true },
  /** Gives it back. */
  reject: { code: 173, moves: true },
  status: { code: 182, moves: false },
  enableAll: { code: 184, moves: false },
  disableAll: { code: 185, moves: false },
  escrowTimeoutOff: { code: 190, moves: false },
  /** A note that nobody decides about goes back by itself. */
  escrowTimeoutOn: { code: 191, moves: false },
  firmware: { code: 192, moves: false },
  dataset: { code: 193, moves: false },
} as const satisfies Record<string, CommandDefinition>;

/** A command by name. */
export type CommandName = keyof typeof commands;

const INHIBIT = 130;
const UNINHIBIT = 150;

/** The command that shuts a channel, 1 to 16. */
export const inhibitCode = (channel: number): number => INHIBIT + channel;
/** The command that opens a channel, 1 to 16. */
export const uninhibitCode = (channel: number): number => UNINHIBIT + channel;

/** Device to host, beside notes and echoes. */
export const reports = {
  unrecognised: { code: 20, text: 'note not recognised' },
  slow: { code: 30, text: 'mechanism running slow' },
  strimming: { code: 40, text: 'strimming attempted' },
  fraudChannel: { code: 50, text: 'note rejected as a fraud (channel 5)' },
  stackerFull: { code: 60, text: 'stacker full or jammed' },
  aborted: { code: 70, text: 'abort during escrow' },
  noteTaken: { code: 80, text: 'a note may have been taken to clear a jam' },
  busy: { code: 120, text: 'busy' },
  notBusy: { code: 121, text: 'not busy' },
  commandError: { code: 255, text: 'command error' },
} as const satisfies Record<string, { readonly code: number; readonly text: string }>;

/** A report by name. */
export type ReportName = keyof typeof reports;

/** One byte of the device, understood. */
export type SioWord =
  | { readonly kind: 'note'; readonly channel: number }
  | { readonly kind: 'report'; readonly report: ReportName }
  /** A command, said again. */
  | { readonly kind: 'echo'; readonly code: number };

const commandCodes: ReadonlySet<number> = new Set([
  ...Object.values(commands).map(({ code }) => code),
  ...Array.from({ length: CHANNELS_MAX }, (_, at) => inhibitCode(at + 1)),
  ...Array.from({ length: CHANNELS_MAX }, (_, at) => uninhibitCode(at + 1)),
]);

/** All codes of commands. */
export function isCommandCode(code: number): boolean {
  return commandCodes.has(code);
}

/** What each of the 256 bytes means from a device. */
const words: readonly (SioWord | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 1 && byte <= CHANNELS_MAX) return { kind: 'note', channel: byte } as const;
  if (isCommandCode(byte)) return { kind: 'echo', code: byte } as const;
  for (const name of Object.keys(reports)) {
    if (isReport(name) && reports[name].code === byte) return { kind: 'report', report: name };
  }
  return undefined;
});

function isReport(name: string): name is ReportName {
  return name in reports;
}

/** The word of a byte; undefined for none. */
export function wordOf(byte: number): SioWord | undefined {
  return words[byte];
}

/** A word for a record, as `3 note` or `20 note not recognised`. */
export function describeWord(word: SioWord): string {
  switch (word.kind) {
    case 'note':
      return `${word.channel} note`;
    case 'report':
      return `${reports[word.report].code} ${reports[word.report].text}`;
    case 'echo':
      return `${word.code} echo`;
  }
}
