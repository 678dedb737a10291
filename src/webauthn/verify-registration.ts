import { X509Certificate } from 'node:crypto';
import { type RegistrationResponseJSON, SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
import { ALGORITHMS } from './algorithms.js';
import { parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { decodeWhole } from './cbor.js';
import { verifyClientData } from './client-data.js';
import { verifyPublicKey } from './public-key.js';
import { type AttestationTrust, Refusal, step } from './verdict.js';

/**
 * The library's own roots are taken out: with them it would build paths, and before it trusts a path it fetches the
 * revocation lists that the path itself names.
 */
for (const identifier of ['apple', 'android-key', 'android-safetynet'] as const) {
  SettingsService.setRootCertificates({ identifier, certificates: [] });
}

export interface RegistrationExpectation {
  readonly rpId: string;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly challenge: Buffer;
  /** From `mediation: conditional` of the challenge, never of the answer: user presence may be absent. */
  readonly conditional: boolean;
  readonly requireUserVerification: boolean;
  readonly algorithms: readonly number[];
  readonly formats: readonly string[];
}

export interface VerifiedRegistration {
  readonly credentialId: Buffer;
  readonly publicKey: Buffer;
  readonly algorithm: number;
  readonly aaguid: string;
  readonly signCount: number;
  readonly userVerified: boolean;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
  readonly attestation: { readonly format: string; readonly trust: AttestationTrust };
}

/**
 * Registration ceremony, WebAuthn L3 §7.1 steps 5-24. Every check that decides who and what is made here, with a reason
 * of its own; the library then verifies the attestation statement (step 22).
 *
 * @throws Refusal
 */
export async function verifyRegistration(
  response: RegistrationResponseJSON,
  expected: RegistrationExpectation,
): Promise<VerifiedRegistration> {
  const { challenge, origins, crossOrigin } = expected;
  verifyClientData(response.response.clientDataJSON, { type: 'webauthn.create', challenge, origins, crossOrigin });
  const { format, statement, authData } = decodeAttestation(
    bytesOf(response.response.attestationObject, 'attestationObject'),
  );
  const data = parseAuthenticatorData(authData);
  verifyAuthenticatorData(data, {
    rpId: expected.rpId,
    requireUserPresence: !expected.conditional,
    requireUserVerification: expected.requireUserVerification,
  });
  const { attested } = data;
  step(attested !== undefined, 'malformed', 'the flag AT is not set');
  const credentialId = attested.credentialId.toString('base64url');
  step(
    response.id === credentialId && response.rawId === credentialId,
    'credential-id-invalid',
    'id, rawId and the attested credential id are not the same',
  );
  const algorithm = attested.key.get(3);
  step(
    typeof algorithm === 'number' && expected.algorithms.includes(algorithm),
    'algorithm-denied',
    `the algorithm ${String(algorithm)} was not offered`,
  );
  verifyPublicKey(attested.key);
  step(
    expected.formats.includes(format),
    'attestation-format-denied',
    `the format ${format.slice(0, 64)} is not allowed`,
  );
  const trust = trustOf(format, statement, algorithm);
  await verifyStatement(response, expected);
  return {
    credentialId: attested.credentialId,
    publicKey: attested.publicKey,
    algorithm,
    aaguid: attested.aaguid,
    signCount: data.signCount,
    userVerified: data.userVerified,
    backupEligible: data.backupEligible,
    backedUp: data.backedUp,
    attestation: { format, trust },
  };
}

type Statement = ReadonlyMap<unknown, unknown>;

/** §7.1 step 13. */
function decodeAttestation(bytes: Buffer): { format: string; statement: Statement; authData: Buffer } {
  const object = decodeWhole(bytes, 'attestationObject');
  step(object instanceof Map, 'malformed', 'the attestation object is no CBOR map');
  const [format, statement, authData] = ['fmt', 'attStmt', 'authData'].map((key): unknown => object.get(key));
  step(typeof format === 'string', 'malformed', 'fmt is no text');
  step(statement instanceof Map, 'malformed', 'attStmt is no CBOR map');
  step(authData instanceof Uint8Array, 'malformed', 'authData is no byte string');
  return { format, statement: statement as Statement, authData: Buffer.from(authData) };
}

/** What the statement can prove without a root (§7.1 step 24); `trusted` needs one. */
function trustOf(format: string, statement: Statement, algorithm: number): AttestationTrust {
  if (format === 'none') return 'none';
  const chain = statement.get('x5c');
  if (chain === undefined) {
    step(
      statement.get('alg') === algorithm,
      'attestation-invalid',
      'self attestation in another algorithm than the key',
    );
    return 'self';
  }
  step(Array.isArray(chain) && chain.length > 0, 'attestation-invalid', 'x5c is no list of certificates');
  step(format !== 'fido-u2f' || chain.length === 1, 'attestation-invalid', 'fido-u2f has exactly one certificate');
  const sameAlgorithm = format !== 'packed' || keyTypeOf(chain[0]) === keyTypeFor(statement.get('alg'));
  step(sameAlgorithm, 'attestation-invalid', 'the algorithm is not that of the attestation certificate');
  return 'untrusted';
}

/** Of node:crypto, by COSE key type. */
const KEY_TYPES: Readonly<Record<number, string>> = { 1: 'ed25519', 2: 'ec', 3: 'rsa', 7: 'ml-dsa-44' };

/** The library lets any algorithm pass whose hash is the right one. */
function keyTypeFor(alg: unknown): string {
  const algorithm = ALGORITHMS.find(({ cose }) => cose === alg);
  step(algorithm !== undefined, 'attestation-invalid', 'an attestation in an algorithm that cannot be verified');
  return KEY_TYPES[algorithm.keyType]!;
}

function keyTypeOf(certificate: unknown): string | undefined {
  try {
    return new X509Certificate(certificate as Uint8Array).publicKey.asymmetricKeyType;
  } catch {
    throw new Refusal('attestation-invalid', 'x5c holds what is no certificate');
  }
}

/** §7.1 step 22. All that the library checks besides was checked before, so what it refuses is the statement. */
async function verifyStatement(response: RegistrationResponseJSON, expected: RegistrationExpectation): Promise<void> {
  let verified = false;
  let cause = 'the signature does not hold';
  try {
    const outcome = await verifyRegistrationResponse({
      response,
      expectedChallenge: expected.challenge.toString('base64url'),
      expectedOrigin: [...expected.origins],
      expectedRPID: expected.rpId,
      requireUserPresence: !expected.conditional,
      requireUserVerification: expected.requireUserVerification,
      supportedAlgorithmIDs: [...expected.algorithms],
    });
    verified = outcome.verified;
  } catch (error) {
    cause = error instanceof Error ? error.message.slice(0, 200) : cause;
  }
  if (!verified) throw new Refusal('attestation-invalid', cause);
}
