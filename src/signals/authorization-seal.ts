import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';

const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface OpenedAuthorization {
  readonly header: string;
  /** True if another key than the first one sealed it. */
  readonly isOld: boolean;
}

/**
 * Seals the Authorization headers that receivers want to see, so that the database and its backups do not show them:
 *
 *     key id (4 bytes) · nonce (12) · ciphertext · tag (16)
 *
 * AES-256-GCM authenticates the id of the stream with the ciphertext, so a header goes to no receiver of another stream.
 */
@Injectable()
export class AuthorizationSeal {
  private readonly keys: readonly [Buffer, ...Buffer[]];

  constructor(@Inject(SECRET_KEYS) { signalSecrets }: Pick<SecretKeys, 'signalSecrets'>) {
    this.keys = signalSecrets;
  }

  seal(streamId: string, header: string): Buffer {
    const [key] = this.keys;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(streamId));
    return Buffer.concat([getId(key), nonce, cipher.update(header), cipher.final(), cipher.getAuthTag()]);
  }

  /** @returns undefined: no present key has sealed it for this stream */
  open(streamId: string, sealed: Buffer): OpenedAuthorization | undefined {
    const key = this.keys.find((candidate) => getId(candidate).equals(sealed.subarray(0, KEY_ID_BYTES)));
    if (!key || sealed.length < KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
    const [begin, end] = [KEY_ID_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES];
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(KEY_ID_BYTES, begin), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(streamId)).setAuthTag(sealed.subarray(end));
    try {
      const header = Buffer.concat([decipher.update(sealed.subarray(begin, end)), decipher.final()]).toString();
      return { header, isOld: key !== this.keys[0] };
    } catch {
      return undefined;
    }
  }
}

function getId(key: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from('passkey-manager/signal-secret/key id'), key]), 'buffer').subarray(
    0,
    KEY_ID_BYTES,
  );
}
