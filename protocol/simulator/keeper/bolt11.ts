/** Real signed invoices of the regtest network (BOLT 11, `lnbcrt`). */
import { createECDH, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { createSignedRequest, createUnsignedRequest, parsePaymentRequest } from 'invoices';

/** What an invoice says; `read` tells it of any invoice. */
export interface InvoiceTerms {
  readonly paymentHash: string;
  readonly amountMsat: number;
  readonly memo: string;
  readonly createdAtUnixMs: number;
  readonly expiresAtUnixMs: number;
}

/** Signs invoices. An argument, so that a simulation may stub it. */
export interface InvoiceMaker {
  /** A payment request; `paymentSecret` is 32 bytes in hex. */
  make(terms: InvoiceTerms, paymentSecret: string): string;
  /** What any payment request says, our own or not. @throws Error when it is none. */
  read(bolt11: string): InvoiceTerms & { readonly network: string };
}

/** `var_onion_optin` and `payment_secret`, both compulsory. Source: BOLT 9, bits 8 and 14. */
const FEATURES = [{ bit: 8 }, { bit: 14 }];
/** Source: BOLT 11's default for `min_final_cltv_expiry_delta`. */
const FINAL_CLTV_BLOCKS = 18;
/** Order of secp256k1's group. Source: SEC 2, section 2.4.1. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const COORDINATE_BYTES = 32;

/** Makes invoices in the name of a Lightning node with this 32-byte key. */
export function createInvoiceMaker(nodeSecretKey: Uint8Array): InvoiceMaker {
  const { destination, key } = nodeKey(nodeSecretKey);
  return {
    make: (terms, paymentSecret) => {
      const { hrp, tags, preimage } = createUnsignedRequest({
        cltv_delta: FINAL_CLTV_BLOCKS,
        created_at: new Date(terms.createdAtUnixMs).toISOString(),
        description: terms.memo,
        destination,
        expires_at: new Date(terms.expiresAtUnixMs).toISOString(),
        features: FEATURES,
        id: terms.paymentHash,
        mtokens: String(terms.amountMsat),
        network: 'regtest',
        payment: paymentSecret,
      });
      const raw = sign('sha256', Buffer.from(preimage, 'hex'), { key, dsaEncoding: 'ieee-p1363' });
      return createSignedRequest({ destination, hrp, signature: lowS(raw), tags }).request;
    },
    read: (bolt11) => {
      const parsed = parsePaymentRequest({ request: bolt11 });
      return {
        paymentHash: parsed.id,
        amountMsat: Number(parsed.mtokens ?? 0),
        memo: parsed.description ?? '',
        createdAtUnixMs: Date.parse(parsed.created_at),
        expiresAtUnixMs: Date.parse(parsed.expires_at),
        network: parsed.network,
      };
    },
  };
}

function nodeKey(secretKey: Uint8Array): { destination: string; key: KeyObject } {
  const ecdh = createECDH('secp256k1');
  ecdh.setPrivateKey(secretKey);
  const point = ecdh.getPublicKey();
  const x = point.subarray(1, 1 + COORDINATE_BYTES).toString('base64url');
  const y = point.subarray(1 + COORDINATE_BYTES).toString('base64url');
  const d = Buffer.from(secretKey).toString('base64url');
  const key = createPrivateKey({
    format: 'jwk',
    key: { kty: 'EC', crv: 'secp256k1', x, y, d },
  });
  return { destination: ecdh.getPublicKey('hex', 'compressed'), key };
}

/** OpenSSL gives either of the two valid values of S; Lightning nodes take only the lower one. */
function lowS(signature: Buffer): string {
  const r = signature.subarray(0, COORDINATE_BYTES).toString('hex');
  const s = BigInt(`0x${signature.subarray(COORDINATE_BYTES).toString('hex')}`);
  const low = s > ORDER / 2n ? ORDER - s : s;
  return r + low.toString(16).padStart(2 * COORDINATE_BYTES, '0');
}
