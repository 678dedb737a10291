import { createHash } from 'node:crypto';
import { type RegistrationResponseJSON, verifyRegistrationResponse } from '@simplewebauthn/server';
import { verifyAndroidKey } from './android-key.js';
import { certificatesOf, type Statement, weaknessOf } from './attestation-statement.js';
import { assessTrust, type AttestationVerdict, type VerifiedStatement } from './attestation-trust.js';
import {
  type AttestedCredentialData,
  type AuthenticatorData,
  parseAuthenticatorData,
  verifyAuthenticatorData,
} from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { decodeWhole } from './cbor.js';
import { verifyClientData } from './client-data.js';
import { publicKeyOf, verifyPublicKey } from './public-key.js';
import { at, Refusal, step } from './verdict.js';
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
  const { object, data, attested } = at('§7.1', 13, () => decodeAttestation(response.response.attestationObject));
  const credentialId = attested.credentialId.toString('base64url');
  const same = response.id === credentialId && response.rawId === credentialId;
  step(same, 'credential-id-invalid', 'id, rawId and the attested credential id are not the same');
  verifyAuthenticatorData('§7.1', data, {
    rpId: expected.rpId,
    requireUserPresence: !expected.conditional,
    requireUserVerification: expected.requireUserVerification,
  });
  const algorithm = at('§7.1', 20, () => verifyAlgorithm(attested, expected.algorithms));
  at('§7.1', 21, () => {
    const allowed = expected.formats.includes(object.format);
    step(allowed, 'attestation-format-denied', `the format ${object.format.slice(0, 64)} is not allowed`);
  });
  const statement = await at('§7.1', 22, () => verifyStatement(object, { ...attested, algorithm }, response, expected));
  const roots = expected.roots(object.format, attested.aaguid);
  const attestation = at('§7.1', 24, () => assessTrust(statement, roots, expected.now));
  return {
    ...{ credentialId: attested.credentialId, publicKey: attested.publicKey, algorithm, aaguid: attested.aaguid },
    ...{ signCount: data.signCount, userVerified: data.userVerified },
    ...{ backupEligible: data.backupEligible, backedUp: data.backedUp },
    attestation,
  };
}

interface AttestationObject {
  readonly format: string;
  readonly statement: Statement;
  readonly authData: Buffer;
}

/** §7.1 step 13, down to the attested credential. */
function decodeAttestation(encoded: string): {
  object: AttestationObject;
  data: AuthenticatorData;
  attested: AttestedCredentialData;
} {
  const decoded = decodeWhole(bytesOf(encoded, 'attestationObject'), 'attestationObject');
  step(decoded instanceof Map, 'malformed', 'the attestation object is no CBOR map');
  const [format, statement, bytes] = ['fmt', 'attStmt', 'authData'].map((key): unknown => decoded.get(key));
  step(typeof format === 'string', 'malformed', 'fmt is no text');
  step(statement instanceof Map, 'malformed', 'attStmt is no CBOR map');
  step(bytes instanceof Uint8Array, 'malformed', 'authData is no byte string');
  const authData = Buffer.from(bytes);
  const data = parseAuthenticatorData(authData);
  step(data.attested !== undefined, 'malformed', 'the flag AT is not set');
  return { object: { format, statement: statement as Statement, authData }, data, attested: data.attested };
}

/** §7.1 step 20, and that signatures in this algorithm can be verified by this key later. */
function verifyAlgorithm({ key }: AttestedCredentialData, offered: readonly number[]): number {
  const algorithm = key.get(3);
  const wasOffered = typeof algorithm === 'number' && offered.includes(algorithm);
  step(wasOffered, 'algorithm-denied', `the algorithm ${String(algorithm)} was not offered`);
  verifyPublicKey(key);
  return algorithm;
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
