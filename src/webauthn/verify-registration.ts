/**
 * WebAuthn Level 3 as pure functions: an answer and its expectation go in, the facts of the credential come out, or a
 * Refusal with its reason and its clause (refusal.ts). Nothing here knows a database or a request.
 *
 *  - verify-registration.ts is §7.1 and verify-authentication.ts is §7.2, step by step.
 *  - client-data.ts and authenticator-data.ts verify what both ceremonies share. cbor.ts decodes.
 *  - attestation-statement.ts verifies the statement (§7.1 step 22) with one file per format: packed, tpm, android-key,
 *    apple and fido-u2f. attestation-trust.ts decides on the trust in its certificates (step 24).
 *  - cose.ts has the algorithms and imports public keys, signature.ts verifies signatures.
 *  - options.ts makes the options of a ceremony.
 */
import { hash } from 'node:crypto';
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import { describeAlgorithm, verifyPublicKey } from './cose.js';
import type { Statement } from './attestation.js';
import { ATTESTATION_FORMATS, type AttestationFormat, verifyStatement } from './attestation-statement.js';
import { assessTrust, type AttestationVerdict } from './attestation-trust.js';
import {
  type AttestedCredentialData,
  type AuthenticatorData,
  parseAuthenticatorData,
  verifyAuthenticatorData,
} from './authenticator-data.js';
import { decodeBase64url, verifyClientData } from './client-data.js';
import { decodeWhole } from './cbor.js';
import { Refusal, refuseUnless, step } from './refusal.js';

export type { RegistrationResponseJSON };

export interface RegistrationExpectation {
  readonly rpId: string;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly challenge: Buffer;
  /** The challenge had `mediation: conditional`, so user presence may be absent. The answer never decides this. */
  readonly conditional: boolean;
  readonly requireUserVerification: boolean;
  readonly algorithms: readonly number[];
  readonly formats: readonly string[];
  /** The roots (PEM) for attestations of this format and model. */
  readonly roots: (format: string, aaguid: string) => readonly string[];
  /** Trusts a TPM attestation even if it uses SHA-1. */
  readonly allowSha1Tpm: boolean;
  /** The time at which the certificates must be valid. */
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
 * Verifies a registration, WebAuthn L3 §7.1 steps 5-24. Step 22 asks if the attestation statement is true, step 24 if
 * its certificates are trusted.
 *
 * @throws Refusal
 */
export function verifyRegistration(
  response: RegistrationResponseJSON,
  expected: RegistrationExpectation,
): VerifiedRegistration {
  const { challenge, origins, crossOrigin } = expected;
  // Steps 5 to 11.
  verifyClientData(response.response.clientDataJSON, { type: 'webauthn.create', challenge, origins, crossOrigin });
  const { object, data, attested } = step('§7.1', 13, () => decodeAttestation(response.response.attestationObject));
  const credentialId = attested.credentialId.toString('base64url');
  const same = response.id === credentialId && response.rawId === credentialId;
  refuseUnless(same, 'credential-id-invalid', 'id, rawId and the attested credential id are not the same');
  // Steps 14 to 17.
  verifyAuthenticatorData('§7.1', data, {
    rpId: expected.rpId,
    requireUserPresence: !expected.conditional,
    requireUserVerification: expected.requireUserVerification,
  });
  const algorithm = step('§7.1', 20, () => verifyAlgorithm(attested, expected.algorithms));
  const format = step('§7.1', 21, () => demandFormat(object.format, expected.formats));
  const statement = step('§7.1', 22, () => {
    const clientDataHash = hash(
      'sha256',
      decodeBase64url(response.response.clientDataJSON, 'clientDataJSON'),
      'buffer',
    );
    const { statement, authData } = object;
    const about = { statement, credential: attested, algorithm, rpIdHash: data.rpIdHash, authData, clientDataHash };
    return verifyStatement(format, about);
  });
  const { allowSha1Tpm, now } = expected;
  const roots = expected.roots(format, attested.aaguid);
  const attestation = step('§7.1', 24, () => assessTrust(statement, { roots, now, allowSha1Tpm }));
  return {
    credentialId: attested.credentialId,
    publicKey: attested.publicKey,
    algorithm,
    aaguid: attested.aaguid,
    signCount: data.signCount,
    userVerified: data.userVerified,
    backupEligible: data.backupEligible,
    backedUp: data.backedUp,
    attestation,
  };
}

interface AttestationObject {
  readonly format: string;
  readonly statement: Statement;
  readonly authData: Buffer;
}

/** §7.1 step 13: decodes the attestation object, its authenticator data and the attested credential data. */
function decodeAttestation(encoded: string): {
  object: AttestationObject;
  data: AuthenticatorData;
  attested: AttestedCredentialData;
} {
  const decoded = decodeWhole(decodeBase64url(encoded, 'attestationObject'), 'attestationObject');
  refuseUnless(decoded instanceof Map, 'malformed', 'attestationObject is not a CBOR map');
  const [format, statement, bytes] = ['fmt', 'attStmt', 'authData'].map((key): unknown => decoded.get(key));
  refuseUnless(typeof format === 'string', 'malformed', 'fmt of the attestation object is not a text string');
  refuseUnless(statement instanceof Map, 'malformed', 'attStmt of the attestation object is not a CBOR map');
  refuseUnless(bytes instanceof Uint8Array, 'malformed', 'authData of the attestation object is not a byte string');
  const authData = Buffer.from(bytes);
  const data = parseAuthenticatorData(authData);
  refuseUnless(
    data.attested !== undefined,
    'malformed',
    'the authenticator data holds no new credential (the flag AT is 0)',
  );
  return { object: { format, statement: statement as Statement, authData }, data, attested: data.attested };
}

/** §7.1 step 20. It also demands that the service can verify signatures by this key later. */
function verifyAlgorithm({ key }: AttestedCredentialData, offered: readonly number[]): number {
  const algorithm = key.get(3);
  const wasOffered = typeof algorithm === 'number' && offered.includes(algorithm);
  refuseUnless(
    wasOffered,
    'algorithm-denied',
    `the key is for ${describeAlgorithm(algorithm)}; the options offered ${offered.map(describeAlgorithm).join(', ')}`,
  );
  verifyPublicKey(key);
  return algorithm;
}

/** §7.1 step 21. The relying party's policy must also allow the format. */
function demandFormat(name: string, allowed: readonly string[]): AttestationFormat {
  const format = ATTESTATION_FORMATS.find((known) => known === name);
  if (format !== undefined && allowed.includes(format)) return format;
  const detail = `the format ${name.slice(0, 64)} is not one of ${allowed.join(', ')}, which the policy allows`;
  throw new Refusal('attestation-format-denied', detail);
}
