import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CredentialEntity } from './credential.entity.js';

type Bound = Pick<
  CredentialEntity,
  'rpId' | 'id' | 'userId' | 'credentialId' | 'publicKey' | 'aaguid' | 'backupEligible' | 'status'
>;

/**
 * HMAC-SHA-256 over what makes a row somebody's way in. Whoever can write to the table but has no key cannot give a
 * credential to another user, put another public key into it, make it another model or a multi-device one, or bring it
 * back to life. (An old row with its old MAC, put back whole, is not noticed here: the audit log tells.)
 */
export function bindingMac(
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

export function bindingHolds(key: Buffer, credential: CredentialEntity): boolean {
  const mac = bindingMac(key, credential);
  return mac.length === credential.bindingMac.length && timingSafeEqual(mac, credential.bindingMac);
}
