import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CredentialEntity } from './credential.entity.js';

type Bound = Pick<
  CredentialEntity,
  'rpId' | 'id' | 'userId' | 'credentialId' | 'publicKey' | 'aaguid' | 'backupEligible' | 'status'
>;

/**
 * Computes the HMAC-SHA-256 over the members that decide who can sign in with a row. Anyone who can write to the table
 * but lacks the key cannot give a credential to another user, replace its public key, change its model, make it a
 * multi-device credential or reactivate it. (The MAC does not detect an old row that is restored whole, with its old
 * MAC. The audit log shows that.)
 */
export function computeBindingMac(
  key: Buffer,
  { rpId, id, userId, credentialId, publicKey, aaguid, backupEligible, status }: Bound,
): Buffer {
  const binding = [
    rpId,
    id,
    userId,
    credentialId.toString('base64'),
    publicKey.toString('base64'),
    aaguid,
    backupEligible,
    status,
  ];
  return createHmac('sha256', key).update(JSON.stringify(binding)).digest();
}

export function isBindingValid(key: Buffer, credential: CredentialEntity): boolean {
  const mac = computeBindingMac(key, credential);
  return mac.length === credential.bindingMac.length && timingSafeEqual(mac, credential.bindingMac);
}
