/** The customer's texts as a part of the one-file screen. */
import assert from 'node:assert';
import { customerTexts } from './customer.ts';
import type { Language } from './fill.ts';

/** Where they go: a block of data, which a browser never runs. */
const PLACE = '<script type="application/json" id="texts"></script>';

/** The screen with its texts in it, and with the language that it shows first. */
export function withTexts(page: string, first: Language): string {
  const parts = page.split(PLACE);
  const [before, after] = parts;
  assert(before !== undefined && after !== undefined && parts.length === 2, 'no place for texts');
  const json = JSON.stringify({ first, languages: customerTexts });
  // No text may end the block.
  const data = json.replaceAll('<', '\\u003c');
  return `${before}${PLACE.replace('><', `>${data}<`)}${after}`.replace(
    '<html lang="en">',
    () => `<html lang="${first}">`,
  );
}
