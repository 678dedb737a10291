import { createCipheriv, hash, randomBytes } from 'node:crypto';

/** Seals an Authorization header as the service did before it bound headers to the URL of the endpoint. */
export function sealForStreamAlone(key: Buffer, streamId: string, header: string): Buffer {
  const label = Buffer.from('passkey-manager/signal-secret/key id');
  const id = hash('sha256', Buffer.concat([label, key]), 'buffer').subarray(0, 4);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(streamId));
  return Buffer.concat([id, nonce, cipher.update(header), cipher.final(), cipher.getAuthTag()]);
}
