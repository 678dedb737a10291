import { createLocalJWKSet, errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import type { components } from './contract.ts';

/** The public keys of receipts, the result of `getReceiptKeys()`. */
export type ReceiptKeys = components['schemas']['ReceiptKeys'];

/** Why a receipt proves nothing. The list is closed. */
export type ReceiptFault =
  | 'malformed' // it is no JWS in compact form, or lacks a claim
  | 'algorithm-denied' // neither ES256 nor Ed25519
  | 'key-unknown' // the set has no key with its kid
  | 'signature-invalid' // altered, or signed with another key
  | 'type-mismatch' // another JWT of the same keys
  | 'issuer-mismatch'
  | 'audience-mismatch'
  | 'transaction-mismatch' // of another transaction; or of one, where a sign-in was expected; or the reverse
  | 'not-yet-valid' // made in the future, by this clock
  | 'expired'; // or older than maxAge

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
  if (typeof receipt !== 'string') throw new ReceiptError('malformed', 'it is no text');
  const claims = await verifyByKeys(receipt, expected, options);
  const { transactionDigest } = expected;
  if (claims.transaction_digest === transactionDigest) return claims;
  const wanted = transactionDigest === undefined ? 'a sign-in' : 'this transaction';
  throw new ReceiptError('transaction-mismatch', `it is not of ${wanted}`);
}

async function verifyByKeys(
  receipt: string,
  expected: ReceiptExpectations,
  options: JWTVerifyOptions,
): Promise<Receipt> {
  if ('jwks' in expected) return verifyBy(expected.jwks, receipt, options);
  const { jwksFrom } = expected;
  const kept = await keepKeys(jwksFrom, MAX_AGE_MS);
  return verifyBy(kept, receipt, options).catch(async (error: unknown) => {
    if (!(error instanceof ReceiptError) || error.reason !== 'key-unknown') throw error;
    const newer = await keepKeys(jwksFrom, COOLDOWN_MS);
    if (newer === kept) throw error;
    return verifyBy(newer, receipt, options);
  });
}

async function verifyBy(jwks: ReceiptKeys, receipt: string, options: JWTVerifyOptions): Promise<Receipt> {
  const findKey = createLocalJWKSet(jwks);
  try {
    const { payload } = await jwtVerify(
      receipt,
      (header, token) => {
        if (typeof header.kid !== 'string') throw new errors.JWKSNoMatchingKey();
        return findKey(header, token);
      },
      options,
    );
    return payload as unknown as Receipt;
  } catch (error) {
    const reason = findReason(error);
    throw reason === undefined ? error : new ReceiptError(reason, (error as Error).message, { cause: error });
  }
}

const MISMATCHES: Readonly<Record<string, ReceiptFault>> = {
  typ: 'type-mismatch',
  iss: 'issuer-mismatch',
  aud: 'audience-mismatch',
  iat: 'not-yet-valid',
  nbf: 'not-yet-valid',
};

function findReason(error: unknown): ReceiptFault | undefined {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed)
    return (
      (error.reason === 'check_failed' || error.claim === 'typ' ? MISMATCHES[error.claim] : undefined) ?? 'malformed'
    );
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm-denied';
  if (error instanceof errors.JWKSNoMatchingKey) return 'key-unknown';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature-invalid';
  const isMalformed =
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported;
  return isMalformed ? 'malformed' : undefined;
}

/** `max-age` of the service's answer. */
const MAX_AGE_MS = 300_000;
const COOLDOWN_MS = 10_000;

const kept = new WeakMap<ReceiptKeySource, { readonly at: number; readonly keys: Promise<ReceiptKeys> }>();

/** Returns the keys that were fetched last, if that is at most `maxAgeMs` ago. Calls at the same time share a request. */
function keepKeys(source: ReceiptKeySource, maxAgeMs: number): Promise<ReceiptKeys> {
  const last = kept.get(source);
  if (last && performance.now() - last.at < maxAgeMs) return last.keys;
  const next = { at: performance.now(), keys: source.getReceiptKeys() };
  kept.set(source, next);
  next.keys.catch(() => {
    if (kept.get(source) === next) kept.delete(source);
  });
  return next.keys;
}
