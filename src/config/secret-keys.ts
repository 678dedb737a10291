import { hash, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readTokenMaster } from '../pkcs11/token.js';
import { isTokenUri } from '../pkcs11/token-uri.js';
import { type Config, ConfigError } from './config.js';

/**
 * A key of the seals of rows, from a line of PASSKEY_BINDING_KEY_FILE. Several keys are in use while one replaces another
 * (docs/adr/0031-keys-are-sets.md).
 */
export interface SealKey {
  /** A hash of the key, 8 hexadecimal digits. Each seal names its key by it. */
  readonly id: string;
  readonly secret: Buffer;
  /** The keys of the seals of the version before, which name no key. */
  readonly former: { readonly credential: Buffer; readonly relyingParty: Buffer; readonly approval: Buffer };
}

/**
 * The service derives each key for one purpose by HKDF (RFC 5869): all from PASSKEY_BINDING_KEY_FILE, and the keys of
 * challenges from PASSKEY_CHALLENGE_KEYS_FILE if it is set.
 */
export interface SecretKeys {
  /** The first key seals, and each verifies what it sealed. */
  readonly seals: readonly [SealKey, ...SealKey[]];
  /** The key of the decoy credential ids for users without passkeys. It comes from the first line. */
  readonly decoy: Buffer;
  /**
   * The keys of strangers' stand-ins: a stranger is a subject in the audit log that is not a user of a relying party. The
   * first one makes stand-ins, and each finds what it made.
   */
  readonly auditSubjects: readonly [Buffer, ...Buffer[]];
  /** The keys that encrypt what the service must show to receivers of signals. The first one seals, and each opens what it sealed. */
  readonly signalSecrets: readonly [Buffer, ...Buffer[]];
  /** The keys of sealed challenges. The first one seals, and each opens what it sealed. */
  readonly challenges: readonly Buffer[];
}

export const SECRET_KEYS = Symbol('SecretKeys');

const MIN_KEY_BYTES = 32;
const MAX_KEYS = 8;

/** @throws ConfigError that names the setting whose file does not hold usable keys */
export function readSecretKeys(config: Config): SecretKeys {
  const masters = readMasters(config.bindingKeyFile, 'PASSKEY_BINDING_KEY_FILE');
  const challengeMasters =
    config.challengeKeysFile === undefined
      ? masters
      : readMasters(config.challengeKeysFile, 'PASSKEY_CHALLENGE_KEYS_FILE');
  return Object.freeze({
    seals: Object.freeze(masters.map(deriveSealKey)) as SecretKeys['seals'],
    decoy: deriveKey(masters[0]!, 'decoy'),
    auditSubjects: Object.freeze(masters.map((key) => deriveKey(key, 'audit-subject'))) as SecretKeys['auditSubjects'],
    signalSecrets: Object.freeze(masters.map((key) => deriveKey(key, 'signal-secret'))) as SecretKeys['signalSecrets'],
    challenges: Object.freeze(challengeMasters.map((key) => deriveKey(key, 'challenge'))),
  });
}

/** Reads the lines of a file of keys, without the space around them. */
export function readKeyLines(path: string): string[] {
  return readFileSync(path, 'utf8')
    .trim()
    .split(/\s*\n\s*/);
}

/** Reads the keys of a file, one a line: base64, or the URI of a secret key in a token. @throws ConfigError */
export function readMasters(path: string, setting: string): Buffer[] {
  const masters = readKeyLines(path).map((line) => readMaster(line, setting));
  const usable = masters.every(({ length }) => length >= MIN_KEY_BYTES);
  const distinct = new Set(masters.map((master) => master.toString('base64')));
  if (usable && masters.length <= MAX_KEYS && distinct.size === masters.length) return masters;
  throw new ConfigError([
    `Each of the 1 to ${String(MAX_KEYS)} lines of ${setting} must hold at least 32 random bytes in base64, and no two the same`,
  ]);
}

/** Returns no bytes if the line is neither base64 nor a URI. @throws ConfigError */
function readMaster(line: string, setting: string): Buffer {
  if (!isTokenUri(line)) return Buffer.from(BASE64.test(line) ? line : '', 'base64');
  try {
    return readTokenMaster(line);
  } catch (error) {
    throw new ConfigError([`${setting}: ${(error as Error).message}`]);
  }
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function deriveSealKey(master: Buffer): SealKey {
  const secret = deriveKey(master, 'seal');
  const [credential, relyingParty, approval] = ['credential-binding', 'relying-party', 'approval'].map((purpose) =>
    deriveKey(master, purpose),
  ) as [Buffer, Buffer, Buffer];
  return Object.freeze({
    id: hash('sha256', Buffer.concat([Buffer.from('passkey-manager/seal/key id'), secret])).slice(0, 8),
    secret,
    former: Object.freeze({ credential, relyingParty, approval }),
  });
}

function deriveKey(master: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, '', `passkey-manager/${purpose}/v1`, 32));
}
