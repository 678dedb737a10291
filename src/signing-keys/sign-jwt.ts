import { constants, type KeyObject, sign, type SignKeyObjectInput } from 'node:crypto';
import { promisify } from 'node:util';

/** JWS algorithms (RFC 7518 §3.3, §3.4, §3.5; RFC 9864 §2.2). */
export type JwtAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'Ed25519';

export interface JwtSigner {
  readonly kid: string;
  readonly algorithm: JwtAlgorithm;
  readonly privateKey: KeyObject;
}

/**
 * Signs claims as a JWT in a compact JWS (RFC 7515 §7.1), at once: the Web Crypto API that `jose` uses takes three times as
 * long for a signature this small. It is for ES256 and Ed25519; RSA takes long enough to hold up other requests.
 *
 * @param type the `typ` of the header (RFC 8725 §3.11)
 */
export function signJwt(type: string, claims: object, signer: JwtSigner): string {
  const input = encodeInput(type, claims, signer);
  return `${input}.${sign(...describeSignature(input, signer)).toString('base64url')}`;
}

const signAside = promisify<string | null, Buffer, SignKeyObjectInput, Buffer>(sign);

/** Does the same in another thread, for keys of any kind. */
export async function signJwtAside(type: string, claims: object, signer: JwtSigner): Promise<string> {
  const input = encodeInput(type, claims, signer);
  return `${input}.${(await signAside(...describeSignature(input, signer))).toString('base64url')}`;
}

function encodeInput(type: string, claims: object, { algorithm, kid }: JwtSigner): string {
  return `${encode({ typ: type, alg: algorithm, kid })}.${encode(claims)}`;
}

function describeSignature(
  input: string,
  { algorithm, privateKey }: JwtSigner,
): [digest: string | null, data: Buffer, key: SignKeyObjectInput] {
  return [algorithm === 'Ed25519' ? null : 'sha256', Buffer.from(input), { key: privateKey, ...OPTIONS[algorithm] }];
}

const OPTIONS: Readonly<Record<JwtAlgorithm, Omit<SignKeyObjectInput, 'key'>>> = {
  RS256: { padding: constants.RSA_PKCS1_PADDING },
  // RFC 7518 §3.5: the salt is as long as the digest.
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  // RFC 7518 §3.4: a signature of ECDSA is R and S, not DER.
  ES256: { dsaEncoding: 'ieee-p1363' },
  Ed25519: {},
};

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
