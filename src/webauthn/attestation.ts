import type { X509Certificate } from 'node:crypto';
import type { AttestedCredentialData } from './authenticator-data.js';

/** The decoded attStmt. Members that its format does not define are ignored. */
export type Statement = ReadonlyMap<unknown, unknown>;

/** A statement and the values that it may attest (WebAuthn L3 §8). */
export interface Attestation {
  readonly statement: Statement;
  /** x5c, leaf first; empty for `none` and self attestation. */
  readonly certificates: readonly X509Certificate[];
  readonly credential: AttestedCredentialData;
  /** The COSE algorithm of the credential key. */
  readonly algorithm: number;
  readonly rpIdHash: Buffer;
  readonly authData: Buffer;
  readonly clientDataHash: Buffer;
}

/** The reasons not to trust an attestation that is true. The metric has the same closed list. */
export const DISTRUSTS = [
  'root-unknown',
  'not-valid-now',
  'path-invalid',
  'sha1',
  'unguarded',
  'aaguid-unsigned',
] as const;

export interface Distrust {
  readonly code: (typeof DISTRUSTS)[number];
  /** Tells a person what was received, what was expected and what to do. */
  readonly detail: string;
}

/** The authenticator data followed by the client data hash: most statements sign these bytes. */
export function getAttestedBytes({ authData, clientDataHash }: Attestation): Buffer {
  return Buffer.concat([authData, clientDataHash]);
}
