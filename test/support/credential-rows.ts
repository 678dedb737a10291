import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { CredentialEntity } from '../../src/credentials/credential.entity.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');

/** Makes a row of the table `credential` without a ceremony. */
export function makeCredentialRow(changed: Partial<CredentialEntity> = {}): CredentialEntity {
  return {
    rpId: 'a.example',
    id: uuidv7(),
    userId: 'u-1',
    credentialId: randomBytes(32),
    publicKey: randomBytes(77),
    algorithm: -7,
    aaguid: '00000000-0000-0000-0000-000000000000',
    name: 'Passkey',
    status: 'active',
    statusReason: null,
    statusChangedAt: NOW,
    attachment: 'platform',
    transports: ['internal', 'hybrid'],
    discoverable: true,
    backupEligible: true,
    backedUp: false,
    userVerified: true,
    attestationFormat: 'none',
    attestationTrust: 'none',
    signCount: 0,
    createdAt: NOW,
    createdBy: 'spiffe://bank.example/a',
    lastUsedAt: null,
    lastSignInAt: null,
    browserKeys: null,
    userHandle: null,
    version: 1,
    bindingMac: randomBytes(32),
    ...changed,
  };
}
