import { expect, test } from 'vitest';
import { withdrawBody, withdrawJson } from '#agent/cash-in/withdraw-body.ts';

test('is the same after a way through JSON, calls and all', () => {
  const event = { id: 'a', pubkey: 'b', created_at: 1, kind: 21_000, tags: [['p', 'c']] };
  const call = {
    rpcName: 'create_withdraw',
    requestId: 'd',
    event: { ...event, content: '', sig: '' },
  };
  const body = { principalSats: 2, netSats: 1, state: 'sent', calls: [call] } as const;
  expect(withdrawBody({ body: withdrawJson({ ...body, calls: [...body.calls] }) })).toEqual(body);
});

test('is refused when this program cannot have written it', () => {
  expect(() => withdrawBody({ body: { state: 'sent' } })).toThrow('principalSats');
});
