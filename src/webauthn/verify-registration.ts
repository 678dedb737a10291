import { createHash } from 'node:crypto';
import { type RegistrationResponseJSON, verifyRegistrationResponse } from '@simplewebauthn/server';
import { verifyAndroidKey } from './android-key.js';
import { certificatesOf, type Statement, weaknessOf } from './attestation-statement.js';
import { assessTrust, type AttestationVerdict, type VerifiedStatement } from './attestation-trust.js';
import { type AttestedCredentialData, parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { decodeWhole } from './cbor.js';
import { verifyClientData } from './client-data.js';
import { publicKeyOf, verifyPublicKey } from './public-key.js';
import { Refusal, step } from './verdict.js';
import './well-known-roots.js';

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
  /** The roots (PEM) that an attestation of this format and model may end in. */
  readonly roots: (format: string, aaguid: string) => readonly string[];
  /** When the certificates must be valid. */
  readonly now: Date;
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
  readonly attestation: AttestationVerdict;
}

/**
 * Registration ceremony, WebAuthn L3 §7.1 steps 5-24. Every check that decides who and what is made here, with a reason
 * of its own; the library then verifies the attestation statement (step 22), but for `android-key`, and whether its
 * certificates are trusted is decided here again.
 *
 * @throws Refusal
 */
export async function verifyRegistration(
  response: RegistrationResponseJSON,
  expected: RegistrationExpectation,
): Promise<VerifiedRegistration> {
  const { challenge, origins, crossOrigin } = expected;
  verifyClientData(response.response.clientDataJSON, { type: 'webauthn.create', challenge, origins, crossOrigin });
  const object = decodeAttestation(bytesOf(response.response.attestationObject, 'attestationObject'));
  const { format } = object;
  const data = parseAuthenticatorData(object.authData);
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
  const statement = await verifyStatement(object, { ...attested, algorithm }, response, expected);
  return {
    ...{ credentialId: attested.credentialId, publicKey: attested.publicKey, algorithm, aaguid: attested.aaguid },
    ...{ signCount: data.signCount, userVerified: data.userVerified },
    ...{ backupEligible: data.backupEligible, backedUp: data.backedUp },
    attestation: assessTrust(statement, expected.roots(format, attested.aaguid), expected.now),
  };
}

interface AttestationObject {
  readonly format: string;
  readonly statement: Statement;
  readonly authData: Buffer;
}

/** §7.1 step 13. */
function decodeAttestation(bytes: Buffer): AttestationObject {
  const object = decodeWhole(bytes, 'attestationObject');
  step(object instanceof Map, 'malformed', 'the attestation object is no CBOR map');
  const [format, statement, authData] = ['fmt', 'attStmt', 'authData'].map((key): unknown => object.get(key));
  step(typeof format === 'string', 'malformed', 'fmt is no text');
  step(statement instanceof Map, 'malformed', 'attStmt is no CBOR map');
  step(authData instanceof Uint8Array, 'malformed', 'authData is no byte string');
  return { format, statement: statement as Statement, authData: Buffer.from(authData) };
}

/** §7.1 step 22. */
async function verifyStatement(
  { format, statement, authData }: AttestationObject,
  attested: AttestedCredentialData & { readonly algorithm: number },
  response: RegistrationResponseJSON,
  expected: RegistrationExpectation,
): Promise<VerifiedStatement> {
  const certificates = certificatesOf(format, statement, attested);
  if (format !== 'android-key') {
    await verifyByLibrary(response, expected);
    return { format, certificates, weakness: weaknessOf(statement) };
  }
  const clientDataHash = createHash('sha256').update(bytesOf(response.response.clientDataJSON, 'clientDataJSON'));
  const weakness = verifyAndroidKey({
    ...{ alg: statement.get('alg'), sig: statement.get('sig'), certificates, algorithm: attested.algorithm },
    ...{ publicKey: publicKeyOf(attested.key), authData, clientDataHash: clientDataHash.digest() },
  });
  return { format, certificates, weakness };
}

/** All that the library checks besides was checked before, so what it refuses is the statement. */
async function verifyByLibrary(response: RegistrationResponseJSON, expected: RegistrationExpectation): Promise<void> {
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
