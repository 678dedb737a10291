import { createHmac } from 'node:crypto';
import type { PublicKeyCredentialDescriptorJSON } from '../webauthn/json.js';

/** How long the credential ids of the large providers are, in bytes, so that a decoy's length tells nothing. */
const LENGTHS = [16, 20, 32];

/**
 * The descriptor that a user without passkeys is shown: the same one every time, and underivable without the key, so
 * that the options do not tell who has a passkey.
 */
export function decoyDescriptor(key: Buffer, rpId: string, userId: string): PublicKeyCredentialDescriptorJSON {
  const bytes = createHmac('sha256', key)
    .update(JSON.stringify(['decoy', rpId, userId]))
    .digest();
  const length = LENGTHS[createHmac('sha256', key).update(bytes).digest()[0]! % LENGTHS.length]!;
  return {
    type: 'public-key',
    id: bytes.subarray(0, length).toString('base64url'),
    transports: ['internal', 'hybrid'],
  };
}
