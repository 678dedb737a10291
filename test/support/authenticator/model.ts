import { type Attestation, noAttestation } from './attestation.js';
import type { AlgorithmName, CredentialKey } from './keys.js';

export interface Passkey {
  readonly id: Buffer;
  readonly rpId: string;
  readonly userHandle: Buffer;
  readonly key: CredentialKey;
  signCount: number;
}

/** The properties of an authenticator, and its behaviour when nobody interferes. */
export interface Model {
  aaguid: string;
  algorithm: AlgorithmName;
  attestation: Attestation;
  attachment: 'platform' | 'cross-platform';
  transports: string[];
  backupEligible: boolean;
  backedUp: boolean;
  /** False for a synced passkey, which always reports 0; true for a device that adds one each time. */
  counts: boolean;
}

export const SYNCED_PLATFORM: Model = {
  aaguid: '00000000-0000-0000-0000-000000000000',
  algorithm: 'ES256',
  attestation: noAttestation,
  attachment: 'platform',
  transports: ['internal', 'hybrid'],
  backupEligible: true,
  backedUp: true,
  counts: false,
};
