import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from './config.js';

/**
 * The service derives each key for one purpose by HKDF (RFC 5869): all from PASSKEY_BINDING_KEY_FILE, and the keys of
 * challenges from PASSKEY_CHALLENGE_KEYS_FILE if it is set.
 */
export interface SecretKeys {
  /** The key of the credential-row MAC. */
  readonly binding: Buffer;
  /** The key of the seals of relying parties. */
  readonly relyingParty: Buffer;
  /** The key of the decoy credential ids for users without passkeys. */
  readonly decoy: Buffer;
  /**
   * The key of strangers' stand-ins: a stranger is a subject in the audit log that is not a user of a relying party.
   */
  readonly auditSubject: Buffer;
  /** The key of the MAC of requests for approval. */
  readonly approval: Buffer;
  /** The keys of sealed challenges. The first one seals, and each opens what it sealed. */
  readonly challenges: readonly Buffer[];
}

export const SECRET_KEYS = Symbol('SecretKeys');

const MIN_KEY_BYTES = 32;
const MAX_CHALLENGE_KEYS = 8;

/** @throws ConfigError that names the setting whose file does not hold usable keys */
export function readSecretKeys(config: Config): SecretKeys {
  const [master] = readMasters(config.bindingKeyFile, 'PASSKEY_BINDING_KEY_FILE must hold', 1) as [Buffer];
  const challengeMasters =
    config.challengeKeysFile === undefined
      ? [master]
      : readMasters(
          config.challengeKeysFile,
          `Each of the 1 to ${String(MAX_CHALLENGE_KEYS)} lines of PASSKEY_CHALLENGE_KEYS_FILE must hold`,
          MAX_CHALLENGE_KEYS,
        );
  return Object.freeze({
    binding: deriveKey(master, 'credential-binding'),
    relyingParty: deriveKey(master, 'relying-party'),
    decoy: deriveKey(master, 'decoy'),
    auditSubject: deriveKey(master, 'audit-subject'),
    approval: deriveKey(master, 'approval'),
    challenges: Object.freeze(challengeMasters.map((key) => deriveKey(key, 'challenge'))),
  });
}

/** Reads the lines of a file of keys, without the space around them. */
export function readKeyLines(path: string): string[] {
  return readFileSync(path, 'utf8')
    .trim()
    .split(/\s*\n\s*/);
}

/** Reads the keys of a file, one a line in base64. */
function readMasters(path: string, demand: string, most: number): Buffer[] {
  const lines = readKeyLines(path);
  const masters = lines.map((line) => Buffer.from(line, 'base64'));
  const usable = lines.every((line, index) => BASE64.test(line) && masters[index]!.length >= MIN_KEY_BYTES);
  if (!usable || lines.length > most) throw new ConfigError([`${demand} at least 32 random bytes in base64`]);
  return masters;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function deriveKey(master: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, '', `passkey-manager/${purpose}/v1`, 32));
}
