/** The part of the untyped package `invoices` 5.0.2 that is used here. */
declare module 'invoices' {
  interface UnsignedRequest {
    readonly hash: string;
    readonly hrp: string;
    readonly preimage: string;
    readonly tags: readonly number[];
  }
  interface ParsedRequest {
    readonly created_at: string;
    readonly description?: string;
    readonly destination: string;
    readonly expires_at: string;
    readonly id: string;
    readonly mtokens?: string;
    readonly network: string;
  }
  export function createUnsignedRequest(request: {
    readonly cltv_delta: number;
    readonly created_at: string;
    readonly description: string;
    readonly destination: string;
    readonly expires_at: string;
    readonly features: readonly { readonly bit: number }[];
    readonly id: string;
    readonly mtokens: string;
    readonly network: string;
    readonly payment: string;
  }): UnsignedRequest;
  export function createSignedRequest(request: {
    readonly destination: string;
    readonly hrp: string;
    readonly signature: string;
    readonly tags: readonly number[];
  }): { readonly request: string };
  export function parsePaymentRequest(request: { readonly request: string }): ParsedRequest;
}
