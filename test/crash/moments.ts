/**
 * What a program does that the world notices, and where in it a crash may come: durable writes,
 * bytes on a cable, published events.
 */
import type { Death } from '#test/support/life.ts';

/** The two serial ports. */
export const portNames = ['validator', 'dispenser'] as const;
export type PortName = (typeof portNames)[number];
export type Direction = 'toDevice' | 'toHost';

/** A moment of one life of the program; `nth` counts from 1 in that life. */
export type Moment =
  /** `torn`: half of the bytes of the commit reached the log. */
  | { readonly kind: 'write'; readonly nth: number; readonly phase: 'before' | 'torn' | 'after' }
  /** Just before this byte leaves, or before the program gets it. */
  | {
      readonly kind: 'byte';
      readonly nth: number;
      readonly port: PortName;
      readonly direction: Direction;
    }
  /** `after`: the relay has it, and its OK is never heard. */
  | { readonly kind: 'event'; readonly nth: number; readonly phase: 'before' | 'after' }
  /** So long after the first journal entry of a kind. */
  | { readonly kind: 'entry'; readonly entry: string; readonly afterMs: number };

/** One death of the program. */
export interface Crash {
  readonly moment: Moment;
  readonly death: Death;
}

/** A place that is counted; it may be crashed at in several ways. */
export type Point =
  | { readonly kind: 'write' | 'event'; readonly nth: number }
  | (Extract<Moment, { readonly kind: 'byte' }> & {
      /** It is the first byte of a chunk. */
      readonly startsChunk: boolean;
    });

/** One chunk of bytes: what one end gave to the cable, or took from it. */
export interface Chunk {
  readonly direction: Direction;
  /** Which byte of its direction its first one is, from 1 in this life. */
  readonly nth: number;
  readonly hex: string;
  /** Where every note lies at that moment. */
  readonly truth: string;
}

/** What one recorder has seen between two marks. */
export interface Recording {
  readonly writes: readonly number[];
  readonly events: readonly number[];
  readonly chunks: Readonly<Record<PortName, readonly Chunk[]>>;
}

/** Points by kind. */
export interface Counts {
  readonly writes: number;
  readonly bytes: number;
  readonly events: number;
}

/** A device is polled in a round of at most so many different exchanges. */
const CYCLE_MAX = 4;

/** A chunk of the host and what came until its next one. */
interface Exchange {
  readonly chunks: Chunk[];
  identity: string;
}

function exchangesOf(chunks: readonly Chunk[]): readonly Exchange[] {
  const exchanges: Exchange[] = [];
  for (const chunk of chunks) {
    const last = exchanges.at(-1);
    if (chunk.direction === 'toDevice' || !last) {
      exchanges.push({ chunks: [chunk], identity: `${chunk.hex} ${chunk.truth}` });
      continue;
    }
    last.chunks.push(chunk);
    last.identity += ` ${chunk.hex}`;
  }
  return exchanges;
}

/** The last exchanges up to `at` are those before them over again. */
function isRepeat(exchanges: readonly Exchange[], at: number): boolean {
  for (let length = 1; length <= CYCLE_MAX; length++) {
    if (at + 1 < 2 * length) return false;
    const isCycle = Array.from({ length }, (_, back) => at - back).every(
      (one) => exchanges[one]?.identity === exchanges[one - length]?.identity,
    );
    if (isCycle) return true;
  }
  return false;
}

/**
 * The chunks that count. Idle polls count once: an exchange does not when it goes on with a round
 * of polls, byte by byte the same, in which no note has moved either.
 */
export function countedChunks(chunks: readonly Chunk[]): readonly Chunk[] {
  const exchanges = exchangesOf(chunks);
  return exchanges
    .filter((_, at) => !isRepeat(exchanges, at))
    .flatMap((exchange) => exchange.chunks);
}

/** Every point of a recording. */
export function pointsOf({ writes, events, chunks }: Recording): readonly Point[] {
  const bytes = portNames.flatMap((port) =>
    countedChunks(chunks[port]).flatMap(({ direction, nth, hex }) =>
      Array.from({ length: hex.length / 2 }, (_, at) => {
        return { kind: 'byte', port, direction, nth: nth + at, startsChunk: at === 0 } as const;
      }),
    ),
  );
  return [
    ...writes.map((nth) => ({ kind: 'write', nth }) as const),
    ...bytes,
    ...events.map((nth) => ({ kind: 'event', nth }) as const),
  ];
}

/** How many points of each kind a recording has. */
export function countsOf(recording: Recording): Counts {
  const points = pointsOf(recording);
  const count = (kind: Point['kind']) => points.filter((point) => point.kind === kind).length;
  return { writes: count('write'), bytes: count('byte'), events: count('event') };
}

/**
 * The ways of dying at a point. Inside of a chunk every second byte has the one death and the next
 * one the other, unless `everyWay` is wanted: whoever dies there knows no more than a byte before.
 */
export function crashesAt(point: Point, everyWay: boolean = false): readonly Crash[] {
  const deaths = ['kill', 'powerCut'] as const;
  if (point.kind === 'byte') {
    const { startsChunk, ...moment } = point;
    const both = deaths.map((death): Crash => ({ moment, death }));
    return everyWay || startsChunk ? both : both.slice(moment.nth % 2).slice(0, 1);
  }
  const { kind, nth } = point;
  const both = (['before', 'after'] as const).flatMap((phase) =>
    deaths.map((death): Crash => ({ moment: { kind, nth, phase }, death })),
  );
  if (kind === 'event') return both;
  return [...both, { moment: { kind: 'write', nth, phase: 'torn' }, death: 'powerCut' }];
}

/** A crash in words. */
export function describeCrash({ moment, death }: Crash): string {
  const how = death === 'kill' ? 'killed' : 'power cut';
  switch (moment.kind) {
    case 'write':
      return `${how} ${moment.phase === 'torn' ? 'in' : moment.phase} write ${moment.nth}`;
    case 'event':
      return `${how} ${moment.phase} event ${moment.nth}`;
    case 'byte': {
      const way = moment.direction === 'toDevice' ? 'to' : 'from';
      return `${how} before byte ${moment.nth} ${way} the ${moment.port}`;
    }
    case 'entry':
      return `${how} ${moment.afterMs} ms after ${moment.entry}`;
  }
}
