/** Relay addresses that others name: in a seed, and by the bunker later. */
import { isPrivateHost } from '../private-host.ts';

/** Longest relay address, characters. */
export const RELAY_URL_CHARACTERS_MAX = 512;
/** Most relays of one list: a pool opens no more than eight links. */
export const RELAYS_MAX = 8;

/** What is wrong with a relay address, in words; undefined when nothing is. */
export function relayUrlFault(text: string, allowPrivateRelays: boolean): string | undefined {
  if (text.length > RELAY_URL_CHARACTERS_MAX) {
    return `it is longer than ${RELAY_URL_CHARACTERS_MAX} characters`;
  }
  const url = /^[\x21-\x7e]+$/.test(text) ? URL.parse(text) : null;
  if (!url) return 'it is no address';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') return 'it is neither ws:// nor wss://';
  if (url.username !== '' || url.password !== '') return 'it holds a user name or password';
  if (url.hash !== '') return 'it holds a #';
  if (!allowPrivateRelays && isPrivateHost(url.hostname)) {
    return 'it is on this computer or a private network, where this machine would not find it';
  }
  return undefined;
}
