import { hash } from 'node:crypto';
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import { nameOfAlgorithm } from './algorithms.js';
import type { Statement } from './attestation.js';
import { ATTESTATION_FORMATS, type AttestationFormat, verifyStatement } from './attestation-statement.js';
import { assessTrust, type AttestationVerdict } from './attestation-trust.js';
import {
  type AttestedCredentialData,
  type AuthenticatorData,
  parseAuthenticatorData,
  verifyAuthenticatorData,
} from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { decodeWhole } from './cbor.js';
import { verifyClientData } from './client-data.js';
import { verifyPublicKey } from './public-key.js';
import { at, Refusal, step } from './verdict.js';

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
  /** Allows trust in a TPM’s attestation that rests on SHA-1. */
  readonly allowSha1Tpm: boolean;
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
 * Registration ceremony, WebAuthn L3 §7.1 steps 5-24. It asks two questions one after the other: is the attestation statement
 * true (step 22), and are its certificates trusted (step 24)?
 *
 * @throws Refusal
 */
export function verifyRegistration(
  response: RegistrationResponseJSON,
  expected: RegistrationExpectation,
): VerifiedRegistration {
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
  const format = at('§7.1', 21, () => demandFormat(object.format, expected.formats));
  const statement = at('§7.1', 22, () => {
    const clientDataHash = hash('sha256', bytesOf(response.response.clientDataJSON, 'clientDataJSON'), 'buffer');
    const { statement, authData } = object;
    const about = { statement, credential: attested, algorithm, rpIdHash: data.rpIdHash, authData, clientDataHash };
    return verifyStatement(format, about);
  });
  const { allowSha1Tpm, now } = expected;
  const roots = expected.roots(format, attested.aaguid);
  const attestation = at('§7.1', 24, () => assessTrust(statement, { roots, now, allowSha1Tpm }));
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
  step(decoded instanceof Map, 'malformed', 'attestationObject is not a CBOR map');
  const [format, statement, bytes] = ['fmt', 'attStmt', 'authData'].map((key): unknown => decoded.get(key));
  step(typeof format === 'string', 'malformed', 'fmt of the attestation object is not a text');
  step(statement instanceof Map, 'malformed', 'attStmt of the attestation object is not a CBOR map');
  step(bytes instanceof Uint8Array, 'malformed', 'authData of the attestation object is not a byte string');
  const authData = Buffer.from(bytes);
  const data = parseAuthenticatorData(authData);
  step(data.attested !== undefined, 'malformed', 'the authenticator data holds no new credential (the flag AT is 0)');
  return { object: { format, statement: statement as Statement, authData }, data, attested: data.attested };
}

/** §7.1 step 20, and that signatures in this algorithm can be verified by this key later. */
function verifyAlgorithm({ key }: AttestedCredentialData, offered: readonly number[]): number {
  const algorithm = key.get(3);
  const wasOffered = typeof algorithm === 'number' && offered.includes(algorithm);
  step(
    wasOffered,
    'algorithm-denied',
    `the key is for ${nameOfAlgorithm(algorithm)}; the options offered ${offered.map(nameOfAlgorithm).join(', ')}`,
  );
  verifyPublicKey(key);
  return algorithm;
}

/** §7.1 step 21, and that the relying party’s policy takes the format. */
function demandFormat(name: string, allowed: readonly string[]): AttestationFormat {
  const format = ATTESTATION_FORMATS.find((known) => known === name);
  if (format !== undefined && allowed.includes(format)) return format;
  const detail = `the format ${name.slice(0, 64)} is not one of ${allowed.join(', ')}, which the policy allows`;
  throw new Refusal('attestation-format-denied', detail);
}
