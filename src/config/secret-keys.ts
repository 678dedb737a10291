import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from './config.js';

/** The service derives each key for one purpose from PASSKEY_BINDING_KEY_FILE, by HKDF (RFC 5869). */
export interface SecretKeys {
  /** The key of the credential-row MAC. */
  readonly binding: Buffer;
  /** The key of the decoy credential ids for users without passkeys. */
  readonly decoy: Buffer;
  /**
   * The key of strangers' stand-ins: a stranger is a subject in the audit log that is not a user of a relying party.
   */
  readonly auditSubject: Buffer;
}

export const SECRET_KEYS = Symbol('SecretKeys');

const MIN_KEY_BYTES = 32;

/** @throws ConfigError that names the setting whose file does not hold a usable key */
export function readSecretKeys(config: Config): SecretKeys {
  const text = readFileSync(config.bindingKeyFile, 'utf8').trim();
  const master = Buffer.from(text, 'base64');
  if (master.length < MIN_KEY_BYTES || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new ConfigError(['PASSKEY_BINDING_KEY_FILE must hold at least 32 random bytes in base64']);
  }
  const deriveHash = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', master, '', `passkey-manager/${purpose}/v1`, 32));
  return Object.freeze({
    binding: deriveHash('credential-binding'),
    decoy: deriveHash('decoy'),
    auditSubject: deriveHash('audit-subject'),
  });
}
