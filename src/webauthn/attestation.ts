import type { X509Certificate } from 'node:crypto';
import type { AttestedCredentialData } from './authenticator-data.js';

/** attStmt, decoded. Members that its format does not define are ignored. */
export type Statement = ReadonlyMap<unknown, unknown>;

/** A statement and all that it may be about (WebAuthn L3 §8). */
export interface Attestation {
  readonly statement: Statement;
  /** x5c, the leaf first; none for `none` and self attestation. */
  readonly certificates: readonly X509Certificate[];
  readonly credential: AttestedCredentialData;
  /** The COSE algorithm of the credential key. */
  readonly algorithm: number;
  readonly rpIdHash: Buffer;
  readonly authData: Buffer;
  readonly clientDataHash: Buffer;
}

/** Reasons not to trust an attestation that is true: the metric’s closed list. */
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
  /** Explains to a person what came, what was expected and what to do. */
  readonly detail: string;
}

/** The authenticator data and the client data hash, one behind the other: most statements sign them. */
export function attestedBytes({ authData, clientDataHash }: Attestation): Buffer {
  return Buffer.concat([authData, clientDataHash]);
}
