import type { Attestation } from './attestation.js';
import type { Flags } from './authenticator-data.js';
import type { CredentialKey } from './keys.js';
import type { Passkey } from './model.js';

/** Every change that an attacker can make to an answer. An absent member is as an honest client makes it. */
export interface Interference {
  /** Members of the client data to replace or add; `undefined` removes one. */
  clientData?: Record<string, unknown>;
  /** Rewrites the client data before it is hashed. */
  clientDataJson?: string | Buffer | ((honest: string) => string);
  rpId?: string;
  flags?: Partial<Flags>;
  signCount?: number;
  extensions?: Record<string, unknown>;
  /** Rewrites the authenticator data before it is signed. */
  authenticatorData?: (bytes: Buffer) => Buffer;
  /** Members of the credential's JSON to replace or add; `undefined` removes one. */
  credential?: Record<string, unknown>;
  /** Members of its `response` to replace or add; `undefined` removes one. */
  response?: Record<string, unknown>;
}

export interface CreationInterference extends Interference {
  key?: CredentialKey;
  coseKey?: Buffer;
  credentialId?: Buffer;
  aaguid?: string;
  attestation?: Attestation;
  /** Rewrites the attestation object after it was made. */
  attestationObject?: (bytes: Buffer) => Buffer;
}

export interface AssertionInterference extends Interference {
  passkey?: Passkey;
  /** The user handle; `null` omits it, as a non-discoverable credential does. */
  userHandle?: Buffer | null;
  /** Rewrites the signature after it was made. */
  signature?: (bytes: Buffer) => Buffer;
}
