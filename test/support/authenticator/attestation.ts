import { sign } from 'node:crypto';
import type { AttestationCertificate } from './attestation-authority.js';
import { sha256 } from './authenticator-data.js';
import { COSE, type CredentialKey, signWith } from './keys.js';

/** The input of an attestation statement. */
export interface Attested {
  rpId: string;
  credentialId: Buffer;
  key: CredentialKey;
  authenticatorData: Buffer;
  clientDataHash: Buffer;
}

export interface AttestationStatement {
  fmt: string;
  attStmt: Record<string, unknown>;
}

export type Attestation = (attested: Attested) => AttestationStatement;

const signedBytes = ({ authenticatorData, clientDataHash }: Attested): Buffer =>
  Buffer.concat([authenticatorData, clientDataHash]);

export const noAttestation: Attestation = () => ({ fmt: 'none', attStmt: {} });

/** Makes a packed self attestation (WebAuthn L3 §8.2). */
export const packedSelf: Attestation = (attested) => ({
  fmt: 'packed',
  attStmt: { alg: COSE[attested.key.algorithm], sig: signWith(attested.key, signedBytes(attested)) },
});

/** WebAuthn L3 §8.2, with the maker's certificate. */
export const packedBy =
  (certificate: AttestationCertificate): Attestation =>
  (attested) => ({
    fmt: 'packed',
    attStmt: {
      alg: COSE.ES256,
      sig: sign('sha256', signedBytes(attested), certificate.privateKey),
      x5c: [...certificate.chain],
    },
  });

/** Makes a FIDO U2F attestation (WebAuthn L3 §8.6). It works only with ES256 keys and an AAGUID of zeros. */
export const fidoU2fBy =
  (certificate: AttestationCertificate): Attestation =>
  ({ rpId, credentialId, key, clientDataHash }) => {
    const point = key.spki.subarray(-65);
    const bytes = Buffer.concat([Buffer.from([0]), sha256(rpId), clientDataHash, credentialId, point]);
    return {
      fmt: 'fido-u2f',
      attStmt: { sig: sign('sha256', bytes, certificate.privateKey), x5c: [...certificate.chain] },
    };
  };

/** Makes the same statement with some of its members replaced, as an attacker would. */
export const falsified =
  (attestation: Attestation, change: (statement: AttestationStatement) => AttestationStatement): Attestation =>
  (attested) =>
    change(attestation(attested));
