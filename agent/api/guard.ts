/**
 * What stands between the customer scope and other programs and pages on the same computer: a
 * token that only the screen's address carries, and a Host and Origin that only the screen has.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import type { Random } from '#protocol/base/clock.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { Credential } from '../exchange/technicians.ts';
import { ApiError } from './errors.ts';

/** Length of the token: 128 bits. */
const TOKEN_BYTES = 16;
const TOKEN = /^[0-9a-f]{32}$/;

/**
 * The token of this boot. With a file (on a file system that a boot empties, such as /run) a
 * restarted agent keeps the token, and a screen that is open goes on.
 */
export function bootToken(random: Random, file?: string): Secret<string> {
  const kept = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (TOKEN.test(kept)) return new Secret(kept);
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex');
  if (file !== undefined) {
    // A new file, so that the mode is ours and not that of something that was there before.
    rmSync(file, { force: true });
    writeFileSync(file, token, { mode: 0o600, flag: 'wx' });
  }
  return new Secret(token);
}

/**
 * Refuses a request that does not name this machine as itself: a page of a foreign name that was
 * made to resolve to 127.0.0.1 (DNS rebinding), or a page of another origin.
 * @throws ApiError `notPermitted`
 */
export function assertLocal(headers: IncomingHttpHeaders, port: number | undefined): void {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(headers.host ?? '')) {
    throw new ApiError('notPermitted', 'This address is for the screen of this machine only.');
  }
  const { origin } = headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`)) {
    throw new ApiError('notPermitted', 'Pages of another origin may not call this machine.');
  }
}

/** SHA-256 of a text. */
export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Refuses a request without the token of this boot. @throws ApiError `notAuthorized` */
export function assertToken(headers: IncomingHttpHeaders, token: Secret<string>): void {
  // Digests are compared, because their length and the time it takes tell nothing of the token.
  const given = sha256(headers.authorization ?? '');
  if (!timingSafeEqual(given, sha256(`Bearer ${token.reveal()}`))) {
    throw new ApiError(
      'notAuthorized',
      'The screen has to be opened with the address of this boot.',
    );
  }
}

/** What a request of the service scope came with. */
export function credentialOf(
  { authorization }: IncomingHttpHeaders,
  owner: Secret<string> | undefined,
): Credential {
  if (owner === undefined || authorization === undefined) return { kind: 'nobody' };
  const isOwner = timingSafeEqual(sha256(authorization), sha256(`Bearer ${owner.reveal()}`));
  if (isOwner) return { kind: 'owner' };
  return { kind: 'token', token: authorization.replace(/^Bearer /, '') };
}

/** Headers of every answer: nothing is kept, guessed, framed or told to others. */
export const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

/**
 * Content security policy of the one-file screen: its own script and style by their hashes, its own
 * server, images only of what it has fetched itself, and no markup made from text.
 */
export function screenPolicy(page: string): string {
  const hashesOf = (tag: string) => {
    const blocks = [...page.matchAll(new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`, 'g'))];
    return blocks.map(([, text = '']) => `'sha256-${sha256(text).toString('base64')}'`).join(' ');
  };
  return [
    "default-src 'none'",
    `script-src ${hashesOf('script')}`,
    `style-src ${hashesOf('style')}`,
    "connect-src 'self'",
    'img-src blob:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}
