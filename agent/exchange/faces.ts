/** Face values of notes in whole units, as people and records name them. */
import {
  denominationOfMinor,
  type MinorUnits,
  minorDigits,
  minorOfDenomination,
  minorUnits,
} from '#protocol/base/money.ts';

/** A note's face value, 20 for 2000 cents. A note of part of a unit is named by its minor value. */
export function faceOf(value: MinorUnits, currency: string): number {
  return denominationOfMinor(value, currency) ?? value;
}

/** The value of a note by its face. */
export function faceValue(denomination: number, currency: string): MinorUnits {
  return minorOfDenomination(denomination, currency);
}

/** What so many notes come to, in minor units. */
export function sumOf(denomination: number, count: number, currency: string): number {
  return minorUnits(denomination * 10 ** minorDigits(currency) * count);
}
