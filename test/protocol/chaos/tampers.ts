/** What a relay that lies does to the messages on their way, for `Liar`. */
import { signed } from '../relay/stub-relay.ts';
import type { Liar, LiarLine, Message, Tamper } from './liar.ts';

/** Hangs up on the first messages of a type, that many times. */
export function hangUpAt(type: string, times: number): Tamper {
  let left = times;
  return (message, line) => {
    if (message[0] !== type || left <= 0) return [message];
    left -= 1;
    line.hangUp();
    return [];
  };
}

/** Tells every event again and again, also on the next connection. */
export function replaying(): Tamper {
  const told: Message[] = [];
  return (message) => {
    if (message[0] === 'EVENT') told.push(message);
    const again = told.map((old): Message => ['EVENT', message[1], old[2]]);
    return message[0] === 'EVENT' ? [message, ...again] : [...again, message];
  };
}

/** Notes every event that is sent before all that was asked for on its connection has come. */
export function hastyEvents(liar: Liar): { readonly hasty: string[]; count: number } {
  const seen = { hasty: [] as string[], count: 0 };
  const open = new Map<LiarLine, Set<unknown>>();
  const asked = (line: LiarLine) => {
    const requests = open.get(line) ?? new Set();
    open.set(line, requests);
    return requests;
  };
  liar.up = (message, line) => {
    const [type, id] = message;
    if (type === 'REQ') asked(line).add(id);
    if (type === 'CLOSE') asked(line).delete(id);
    if (type === 'EVENT') seen.count += 1;
    if (type === 'EVENT' && (asked(line).size > 0 || !open.has(line))) seen.hasty.push(String(id));
    return [message];
  };
  liar.down = (message, line) => {
    if (message[0] === 'EOSE') asked(line).delete(message[1]);
    return [message];
  };
  return seen;
}

/** So many events that nobody asked for, each with an id of its own, before the first EOSE. */
export function flooding(count: number): Tamper {
  let left = count;
  return (message, line) => {
    if (message[0] !== 'EOSE' || left === 0) return [message];
    const event = signed();
    for (; left > 0; left--) {
      const id = left.toString(16).padStart(64, '0');
      line.toMachine(['EVENT', message[1], { ...event, id }]);
    }
    return [message];
  };
}

/** Counts the requests that are open on all connections of a relay, as the machine has asked. */
export function openRequests(liar: Liar): () => number {
  const open = new Map<LiarLine, Set<unknown>>();
  liar.up = (message, line) => {
    const ids = open.get(line) ?? new Set();
    open.set(line, ids);
    if (message[0] === 'REQ') ids.add(message[1]);
    if (message[0] === 'CLOSE') ids.delete(message[1]);
    return [message];
  };
  return () =>
    [...open].reduce((sum, [line, ids]) => sum + (liar.lines.has(line) ? ids.size : 0), 0);
}
