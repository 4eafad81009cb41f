/** The API's description (OpenAPI 3.1), made from the route table and the schemas. */
import { z } from 'zod';
import { type Route, routes, type SchemaName, type Scope, schemas } from './routes.ts';

type Json = Record<string, unknown>;

const pointer = (name: string) => `#/components/schemas/${name}`;
const reference = (name: SchemaName) => ({ $ref: pointer(name) });

/** All named schemas as JSON Schema, referring to one another. */
function components(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const made = z.toJSONSchema(registry, { uri: pointer });
  // OpenAPI names a schema by its place in the document; a second name would only confuse tools.
  return Object.fromEntries(
    Object.entries(made.schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema]),
  );
}

function parameters(route: Route): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(route.query, { io: 'input' });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function operation(route: Route, scope: Scope): Json {
  const { contentType, schema } = route.answer;
  return {
    summary: route.summary,
    parameters: parameters(route),
    ...(route.body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: reference(route.body) } },
      },
    }),
    responses: {
      200: {
        description: 'Done.',
        content: { [contentType]: schema ? { schema: reference(schema) } : {} },
      },
      default: {
        description: 'Refused, with the reason.',
        content: { 'application/json': { schema: reference('Error') } },
      },
    },
    ...(scope === 'customer' && { security: [{ token: [] }] }),
  };
}

/** The description of what one scope may call. */
export function openApi(scope: Scope): Json {
  const own = routes.filter((route) => route.scopes.includes(scope));
  const paths: Record<string, Json> = {};
  for (const route of own) {
    paths[route.path] = { [route.method.toLowerCase()]: operation(route, scope) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `spire agent, ${scope} scope`,
      version: 'v1',
      description: 'The local API of a cash machine. Money is in whole sats and minor units.',
    },
    paths,
    components: {
      schemas: components(),
      ...(scope === 'customer' && {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      }),
    },
  };
}
