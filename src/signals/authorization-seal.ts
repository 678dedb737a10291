import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';

const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface OpenedAuthorization {
  readonly header: string;
  /** True if another key than the first one sealed it, or if it was sealed for its stream alone. */
  readonly isOld: boolean;
}

/** Where a header goes. */
export interface HeaderTarget {
  /** The id of the stream. */
  readonly id: string;
  readonly endpointUrl: string;
}

/** Why a header is not opened: no present key has sealed it, or it was sealed for another stream or URL, or it was changed. */
export type SealFault = 'key-unknown' | 'altered';

/** The labels of the key ids, by what is authenticated with the ciphertext. */
const FORMS = {
  target: 'passkey-manager/signal-secret/key id, of a stream and its endpoint',
  // Headers from before endpoints were authenticated. They are sealed again as soon as the service sees them.
  stream: 'passkey-manager/signal-secret/key id',
} as const;
type Form = keyof typeof FORMS;

/**
 * Seals the Authorization headers that receivers want to see, so that the database and its backups do not show them:
 *
 *     key id (4 bytes) · nonce (12) · ciphertext · tag (16)
 *
 * AES-256-GCM authenticates the stream and the URL of its endpoint with the ciphertext. So a header goes to no receiver of another
 * stream, and to no URL that SQL has put in the place of the owner's.
 */
@Injectable()
export class AuthorizationSeal {
  private readonly keys: readonly [Buffer, ...Buffer[]];

  constructor(@Inject(SECRET_KEYS) { signalSecrets }: Pick<SecretKeys, 'signalSecrets'>) {
    this.keys = signalSecrets;
  }

  seal(target: HeaderTarget, header: string): Buffer {
    const [key] = this.keys;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bind(target, 'target'));
    return Buffer.concat([getId(key, 'target'), nonce, cipher.update(header), cipher.final(), cipher.getAuthTag()]);
  }

  open(target: HeaderTarget, sealed: Buffer): OpenedAuthorization | SealFault {
    const found = this.findKey(sealed.subarray(0, KEY_ID_BYTES));
    if (!found) return 'key-unknown';
    if (sealed.length < KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES) return 'altered';
    const { key, form } = found;
    const [begin, end] = [KEY_ID_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES];
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(KEY_ID_BYTES, begin), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(bind(target, form)).setAuthTag(sealed.subarray(end));
    try {
      const header = Buffer.concat([decipher.update(sealed.subarray(begin, end)), decipher.final()]).toString();
      return { header, isOld: key !== this.keys[0] || form !== 'target' };
    } catch {
      return 'altered';
    }
  }

  /** Seals a header again that an older key has sealed, or for its stream alone. @returns undefined: that is not needed, or not possible */
  renew(target: HeaderTarget, sealed: Buffer): Buffer | undefined {
    const opened = this.open(target, sealed);
    return typeof opened === 'object' && opened.isOld ? this.seal(target, opened.header) : undefined;
  }

  private findKey(id: Buffer): { key: Buffer; form: Form } | undefined {
    const candidates = this.keys.flatMap((key) => (['target', 'stream'] as const).map((form) => ({ key, form })));
    return candidates.find(({ key, form }) => getId(key, form).equals(id));
  }
}

function bind({ id, endpointUrl }: HeaderTarget, form: Form): Buffer {
  return Buffer.from(form === 'stream' ? id : JSON.stringify([id, endpointUrl]));
}

function getId(key: Buffer, form: Form): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(FORMS[form]), key]), 'buffer').subarray(0, KEY_ID_BYTES);
}
