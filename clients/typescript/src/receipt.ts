import type { JWTVerifyOptions } from 'jose';
import type { components } from './contract.ts';
import { JwtError, type JwtFault, KeptKeys, verifyJwt } from './verify-jwt.ts';

/** The public keys of receipts, the result of `getReceiptKeys()`. */
export type ReceiptKeys = components['schemas']['ReceiptKeys'];

/** Why a receipt proves nothing. The list is closed. */
export type ReceiptFault = JwtFault | 'transaction-mismatch'; // of another transaction; or of one, where a sign-in was expected; or the reverse

/** A receipt that proves nothing. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError';
  readonly reason: ReceiptFault;

  constructor(reason: ReceiptFault, message: string, options?: ErrorOptions) {
    super(`${reason}: ${message}`, options);
    this.reason = reason;
  }
}

/** The claims of a receipt, as docs/receipts.md of the service describes them. Times are in seconds since 1970. */
export interface Receipt {
  iss: string;
  aud: string;
  /** The user id that the caller of the service knows. */
  sub: string;
  /** The id of the audit event. */
  jti: string;
  iat: number;
  exp: number;
  auth_time: number;
  acr: `urn:passkey-manager:acr:${'presence' | 'synced' | 'device-bound' | 'attested'}`;
  amr: string[];
  /** What the user did. The browser itself shows a payment; a transaction to confirm is shown by the caller. */
  ceremony: 'authentication' | 'confirmation' | 'payment';
  rp_id: string;
  purpose?: string;
  uv: boolean;
  be: boolean;
  bs: boolean;
  /** Present only if a trusted attestation has proved the model. */
  authenticator?: { aaguid: string; name?: string; certification?: string };
  /** SHA-256 of what the user confirmed, base64url. The receipt of a sign-in has none. */
  transaction_digest?: string;
}

/** What fetches the keys: a PasskeyManager. */
export interface ReceiptKeySource {
  getReceiptKeys(): Promise<ReceiptKeys>;
}

export type ReceiptExpectations = {
  /** `passkey-manager/` and the name of the deployment. */
  issuer: string;
  /** The name of the service that verifies, exactly as the receipt has it. */
  audience: string;
  /**
   * SHA-256 of the canonical form (RFC 8785) of the transaction or payment that the user must have confirmed, base64url. If
   * it is left out, the receipt must be of a sign-in: who agreed to pay has not signed in to you.
   */
  transactionDigest?: string | undefined;
  /** Seconds by which the clocks may be apart; 0 by default. */
  clockTolerance?: number | undefined;
  /** The most seconds since the receipt was made; by default only its own end counts. */
  maxAge?: number | undefined;
} & ({ jwks: ReceiptKeys } | { jwksFrom: ReceiptKeySource });

const REQUIRED = ['sub', 'jti', 'iat', 'exp', 'auth_time', 'acr', 'amr', 'ceremony', 'rp_id', 'uv', 'be', 'bs'];

/**
 * Verifies a receipt. With `jwks` it makes no call. With `jwksFrom` it keeps the keys for five minutes, and fetches them again for
 * a `kid` that it does not know, at most every ten seconds.
 *
 * @throws ReceiptError; what `jwksFrom` throws
 */
export async function verifyReceipt(receipt: string, expected: ReceiptExpectations): Promise<Receipt> {
  const { issuer, audience, clockTolerance = 0, maxAge } = expected;
  const options: JWTVerifyOptions = {
    issuer,
    audience,
    clockTolerance,
    typ: 'passkey-receipt+jwt',
    algorithms: ['ES256', 'Ed25519'],
    requiredClaims: REQUIRED,
    ...(maxAge !== undefined && { maxTokenAge: maxAge }),
  };
  const claims = await verifyJwt(receipt, expected, fetched, options).catch((error: unknown) => {
    throw error instanceof JwtError ? new ReceiptError(error.reason, error.message, { cause: error.cause }) : error;
  });
  const { transactionDigest } = expected;
  if (claims['transaction_digest'] === transactionDigest) return claims as unknown as Receipt;
  const wanted = transactionDigest === undefined ? 'a sign-in' : 'this transaction';
  throw new ReceiptError('transaction-mismatch', `it is not of ${wanted}`);
}

const fetched = new KeptKeys<ReceiptKeySource>(async (source) => await source.getReceiptKeys());
