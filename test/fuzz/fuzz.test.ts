/** A few inputs for every parser, and proof that the fuzzer finds what it is there to find. */
import { describe, expect, test } from 'vitest';
import { FuzzFailure, fuzz } from './fuzz.ts';
import { id003Target } from './id003.ts';
import type { FuzzSubject, FuzzTarget } from './target.ts';
import { fuzzTargets } from './targets.ts';

const INPUTS = 20_000;

test.each(fuzzTargets)('$protocol stands broken bytes', (target) => {
  const report = fuzz(target, { inputs: INPUTS, seed: 'in the suite' });
  expect(report.inputs).toBe(INPUTS);
  // Without good money frames among the rubbish nothing would have been compared.
  expect(report.moneyFrames).toBeGreaterThan(INPUTS / 100);
});

describe('the fuzzer finds', () => {
  const broken = (change: (subject: FuzzSubject) => FuzzSubject): FuzzTarget => ({
    ...id003Target,
    subject: () => change(id003Target.subject()),
  });
  const failureOf = (target: FuzzTarget): string => {
    try {
      fuzz(target, { inputs: INPUTS, seed: '1' });
    } catch (error) {
      if (error instanceof FuzzFailure) return error.message;
      throw error;
    }
    return 'none';
  };

  test('money that was never said', () => {
    const target = broken((subject) => ({
      ...subject,
      push: (chunk) => (chunk.includes(0x15) ? ['vend valid'] : subject.push(chunk)),
    }));
    expect(failureOf(target)).toContain('"vend valid" was heard and never said');
  });

  test('a parser that stalls', () => {
    // A length of zero that is waited for, as in a driver of the field.
    let isStalled = false;
    const target = broken((subject) => ({
      ...subject,
      push: (chunk) => {
        isStalled ||= Buffer.from(chunk).includes(Buffer.from([0xfc, 0x00]));
        return isStalled ? [] : subject.push(chunk);
      },
    }));
    expect(failureOf(target)).toContain('a good frame was not heard');
  });

  test('a parser that throws', () => {
    const target = broken((subject) => ({
      ...subject,
      push: (chunk) => {
        if (chunk.includes(0xff)) throw new RangeError('offset');
        return subject.push(chunk);
      },
    }));
    expect(failureOf(target)).toContain('it threw RangeError: offset');
  });
});
