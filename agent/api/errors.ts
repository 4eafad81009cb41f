/** How the local API says no: always `{code, reason}`, with the HTTP status that fits. */
import { z } from 'zod';

/** HTTP status of every code that the API itself answers with. */
const STATUS = {
  usage: 400,
  notAuthorized: 401,
  notPermitted: 403,
  notFound: 404,
  sequenceError: 409,
  tooLarge: 413,
  tooManyTries: 429,
  internal: 500,
  busy: 503,
} as const;

/** Codes of the API's own refusals. A refused command is a `CommandResult`, not one of these. */
export type ApiErrorCode = keyof typeof STATUS;

/** The body of every answer that is not a success. */
export const apiErrorBody = z.strictObject({
  code: z.enum(Object.keys(STATUS) as [ApiErrorCode, ...ApiErrorCode[]]),
  reason: z.string().describe('Sentence for people.'),
  why: z
    .strictObject({
      code: z.string().describe('Stable word for programs and catalogues of words.'),
      values: z.record(z.string(), z.union([z.string(), z.number()])),
    })
    .optional(),
});
/** The body of every answer that is not a success. */
export type ApiErrorBody = z.infer<typeof apiErrorBody>;

/** A request that is refused; the message is the reason. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ApiErrorCode;
  readonly why: ApiErrorBody['why'];
  constructor(code: ApiErrorCode, reason: string, why?: ApiErrorBody['why']) {
    super(reason);
    this.code = code;
    this.why = why;
  }
  /** HTTP status of the answer. */
  get status(): number {
    return STATUS[this.code];
  }
  /** Body of the answer. */
  get body(): ApiErrorBody {
    const { code, message: reason, why } = this;
    return why === undefined ? { code, reason } : { code, reason, why };
  }
}

/** Code for an HTTP status that the HTTP library chose (malformed JSON, body too large). */
export function codeOfStatus(status: number): ApiErrorCode {
  if (status === 413) return 'tooLarge';
  return status < 500 ? 'usage' : 'internal';
}

/** Checks what came in against its schema. @throws ApiError `usage` that says what is wrong. */
export function checked<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const why = { code: 'malformed', values: {} };
  throw new ApiError('usage', z.prettifyError(result.error), why);
}
