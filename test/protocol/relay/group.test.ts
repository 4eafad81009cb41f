import { expect, test } from 'vitest';
import { RelayGroup } from '#protocol/relay/group.ts';
import type { PublishResult } from '#protocol/relay/relay.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { signed } from './stub-relay.ts';

function rig() {
  const clock = new VirtualClock(1_790_000_000_000);
  const network = (url: string) => new MemoryNetwork({ clock, verify: verifySignature, url });
  const [one, two] = [network('wss://one.example'), network('wss://two.example')];
  const results: (readonly PublishResult[])[] = [];
  const group = new RelayGroup(one.client(), (said) => results.push(said));
  return { clock, one, two, group, results };
}

test('what was subscribed to before is asked of those that come later, and told once', async () => {
  const { clock, one, two, group } = rig();
  const heard: string[] = [];
  const ends: string[] = [];
  const off = group.subscribe(
    { kinds: [30_078] },
    { event: ({ id }) => heard.push(id), endOfStored: (url) => ends.push(url) },
  );
  const [early, late] = [signed({ content: 'early' }), signed({ content: 'late', kind: 30_078 })];
  one.take(early);
  two.take(early);
  await clock.advance(100);
  group.add(two.client());
  await clock.advance(100);
  expect(heard).toEqual([early.id]);
  expect(ends).toEqual([one.url, two.url]);
  two.take({ ...late });
  off();
  await clock.advance(100);
  two.take(signed({ content: 'after' }));
  await clock.advance(100);
  expect(heard.length).toBeLessThanOrEqual(2);
  await group.close();
  expect(clock.pending).toBe(0);
});

test('publishes to all, says what each said, and is ready when one is', async () => {
  const { clock, two, group, results } = rig();
  const added = two.client();
  group.add(added);
  const states: string[] = [];
  group.onStatus(({ url, state }) => states.push(`${url} ${state}`));
  const published = await clock.resolve(group.publish(signed()));
  expect(published.map(({ url }) => url)).toEqual(['wss://one.example', 'wss://two.example']);
  expect(results).toEqual([published]);
  added.partition();
  expect(states).toEqual(['wss://two.example waiting']);
  expect(group.ready()).toBe(true);
  expect(group.status().map(({ state }) => state)).toEqual(['open', 'waiting']);
  await group.close();
  expect(group.ready()).toBe(false);
});
