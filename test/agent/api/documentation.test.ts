import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openApi } from '#agent/api/openapi.ts';
import { routes, type Scope, schemas } from '#agent/api/routes.ts';
import { commandResult, customerCommand } from '#agent/api/schemas.ts';
import { call, startHarness } from './harness.ts';

const README = readFileSync(new URL('../../../agent/api/README.md', import.meta.url), 'utf8');

/** As much of an OpenAPI document as the tests look at. */
const operation = z.looseObject({
  parameters: z.array(z.looseObject({ name: z.string() })),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
});
const document = z.looseObject({
  paths: z.record(
    z.string(),
    z.strictObject({ get: operation.optional(), post: operation.optional() }),
  ),
  components: z.looseObject({
    schemas: z.record(z.string(), z.looseObject({ oneOf: z.array(z.unknown()).optional() })),
  }),
});

/** Every `$ref` in a JSON value. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : references(inner),
  );
}

describe('OpenAPI', () => {
  const described = (scope: Scope) => document.parse(JSON.parse(JSON.stringify(openApi(scope))));

  test.each(['service', 'customer'] as const)(
    '%s scope: every path, no dead reference',
    (scope) => {
      const made = described(scope);
      const own = routes.filter((route) => route.scopes.includes(scope));
      expect(new Set(Object.keys(made.paths))).toEqual(new Set(own.map(({ path }) => path)));
      for (const reference of references(made)) {
        const name = reference.replace('#/components/schemas/', '');
        expect(made.components.schemas).toHaveProperty(name);
      }
      expect(Object.keys(made.components.schemas)).toEqual(Object.keys(schemas));
    },
  );

  test('the journal query, the command and the token are described', () => {
    const service = described('service');
    const names = service.paths['/v1/journal']?.get?.parameters.map(({ name }) => name);
    expect(names).toEqual(['after', 'transaction', 'kind', 'limit']);
    expect(service.components.schemas.CustomerCommand?.oneOf).toHaveLength(7);
    expect(service.paths['/v1/machine']?.get?.security).toBeUndefined();
    const customer = described('customer');
    expect(customer.paths['/v1/machine']?.get?.security).toEqual([{ token: [] }]);
  });

  test('it is what the server hands out', async () => {
    await using harness = await startHarness();
    const answer = await call({ socketPath: harness.socketPath, path: '/v1/openapi.json' });
    expect(JSON.parse(answer.text)).toEqual(described('service'));
  });
});

describe('README', () => {
  const lines = README.split('\n').filter((line) => line.startsWith('agent '));
  const parsed = lines.map((line) => {
    const match = /^agent '?http:\/\/spire([^' ]+)'?(?: --json '(.+)')?$/.exec(line);
    if (!match) throw new Error(`not understood: ${line}`);
    const [, path = '', body] = match;
    return { path, body };
  });

  test('every command in it is taken by the real server', async () => {
    await using harness = await startHarness();
    const { socketPath } = harness;
    for (const { path, body } of parsed) {
      const sent = body === undefined ? { path } : { path, body, method: 'POST' };
      const answer = await call({ socketPath, ...sent });
      expect([path, answer.status, answer.text.slice(0, 300)]).toEqual([
        path,
        200,
        answer.text.slice(0, 300),
      ]);
      if (body !== undefined) {
        const result = commandResult.parse(JSON.parse(answer.text));
        expect(result.ok).toBe(true);
      }
    }
  });

  test('it goes through a whole cash-in and a whole cash-out, step by step', () => {
    const sessions = new Map<string, string[]>();
    for (const { body } of parsed) {
      if (body === undefined) continue;
      const command = customerCommand.parse(JSON.parse(body));
      const done = sessions.get(command.session) ?? [];
      expect(command.step).toBe(done.length);
      sessions.set(command.session, [...done, command.do]);
    }
    expect([...sessions.values()]).toEqual([
      ['startCashIn', 'finish', 'dismiss'],
      ['startCashOut', 'chooseAmount', 'dismiss'],
      ['redeem'],
    ]);
    expect(parsed.filter(({ body }) => body === undefined).map(({ path }) => path)).toContain(
      '/v1/obligations',
    );
  });
});
