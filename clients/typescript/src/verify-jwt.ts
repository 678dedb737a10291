import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';

/** Why a JWT proves nothing, whatever it is about. */
export type JwtFault =
  | 'malformed' // it is no JWS in compact form, or lacks a claim
  | 'algorithm-denied'
  | 'key-unknown' // the set has no key with its kid
  | 'signature-invalid' // altered, or signed with another key
  | 'type-mismatch' // another JWT of the same keys
  | 'issuer-mismatch'
  | 'audience-mismatch'
  | 'not-yet-valid' // made in the future, by this clock
  | 'expired'; // or older than maxAge

export class JwtError extends Error {
  readonly reason: JwtFault;

  constructor(reason: JwtFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The keys of one kind that were fetched, by their source. */
export class KeptKeys<Source extends object> {
  readonly #fetch: (source: Source) => Promise<JSONWebKeySet>;
  readonly #kept = new WeakMap<Source, { readonly at: number; readonly keys: Promise<JSONWebKeySet> }>();

  constructor(fetch: (source: Source) => Promise<JSONWebKeySet>) {
    this.#fetch = fetch;
  }

  /** Returns the keys that were fetched last, if that is at most `maxAgeMs` ago. Calls at the same time share a request. */
  get(source: Source, maxAgeMs: number): Promise<JSONWebKeySet> {
    const last = this.#kept.get(source);
    if (last && performance.now() - last.at < maxAgeMs) return last.keys;
    const next = { at: performance.now(), keys: this.#fetch(source) };
    this.#kept.set(source, next);
    next.keys.catch(() => {
      if (this.#kept.get(source) === next) this.#kept.delete(source);
    });
    return next.keys;
  }
}

/** Keys that are there, or the source of those that are fetched. */
export type Keys<Source extends object> = { readonly jwks: object } | { readonly jwksFrom: Source };

/**
 * Verifies a JWT. Fetched keys are kept for five minutes, and fetched again for a `kid` that they lack, at most every ten seconds.
 *
 * @throws JwtError; what the source throws
 */
export async function verifyJwt<Source extends object>(
  token: unknown,
  keys: Keys<Source>,
  fetched: KeptKeys<Source>,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  if (typeof token !== 'string') throw new JwtError('malformed', 'it is no text');
  if ('jwks' in keys) return verifyBy(keys.jwks as JSONWebKeySet, token, options);
  const kept = await fetched.get(keys.jwksFrom, MAX_AGE_MS);
  return verifyBy(kept, token, options).catch(async (error: unknown) => {
    if (!(error instanceof JwtError) || error.reason !== 'key-unknown') throw error;
    const newer = await fetched.get(keys.jwksFrom, COOLDOWN_MS);
    if (newer === kept) throw error;
    return verifyBy(newer, token, options);
  });
}

async function verifyBy(jwks: JSONWebKeySet, token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
  const findKey = createLocalJWKSet(jwks);
  try {
    const { payload } = await jwtVerify(
      token,
      (header, jws) => {
        if (typeof header.kid !== 'string') throw new errors.JWKSNoMatchingKey();
        return findKey(header, jws);
      },
      options,
    );
    return payload;
  } catch (error) {
    const reason = findReason(error);
    throw reason === undefined ? error : new JwtError(reason, (error as Error).message, { cause: error });
  }
}

const MISMATCHES: Readonly<Record<string, JwtFault>> = {
  typ: 'type-mismatch',
  iss: 'issuer-mismatch',
  aud: 'audience-mismatch',
  iat: 'not-yet-valid',
  nbf: 'not-yet-valid',
};

function findReason(error: unknown): JwtFault | undefined {
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
