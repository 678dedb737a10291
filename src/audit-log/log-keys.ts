import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { type Config, ConfigError } from '../config/config.js';
import { openTokenKey } from '../pkcs11/token.js';
import { formatVerifierKey, type LogSigner, readLogSigners, readPublicKeys, type VerifierKey } from '../tlog/keys.js';
import { parseCheckpoint } from '../tlog/checkpoint.js';
import { NoteError, parseNote } from '../tlog/signed-note.js';

/**
 * The keys that sign the log's checkpoints. The private keys come from a file and stay in this process, or they stay in
 * a token that the file names.
 */
export interface LogKeys {
  /** Identifies the log: `passkey-manager/<deployment name>`. */
  readonly origin: string;
  /** The present keys and then, during a change of keys, the old ones. All of them sign. */
  readonly signers: readonly LogSigner[];
  /** The old keys, whether the key file holds their private parts or not. A note that they signed may be continued. */
  readonly former: readonly VerifierKey[];
  /** The present keys as C2SP verifier keys, one per line. */
  readonly verifierKeys: string;
}

export const LOG_KEYS = Symbol('LogKeys');

/**
 * Warns of a key file without an ML-DSA-44 key: Ed25519 alone is valid, but it is also what is left when
 * OpenSSL before 3.5 makes the keys.
 *
 * @throws ConfigError that names the setting whose file holds no usable key
 */
export function readLogKeys(config: Config): LogKeys {
  const { auditKeyFile, auditKeyPassphraseFile, deploymentName } = config;
  const origin = `passkey-manager/${deploymentName}`;
  try {
    const passphrase =
      auditKeyPassphraseFile === undefined
        ? undefined
        : readFileSync(auditKeyPassphraseFile, 'utf8').replace(/\r?\n$/, '');
    const pem = readFileSync(auditKeyFile, 'utf8');
    const signers = readLogSigners(pem, origin, passphrase, openTokenKey);
    if (!signers.some(({ key }) => key.algorithm === 'ml-dsa-44')) {
      const message =
        'PASSKEY_AUDIT_KEY_FILE holds no ML-DSA-44 key: the audit log is signed by Ed25519 alone, which a quantum computer could forge';
      new Logger('LogKeys').warn({ message });
    }
    return makeLogKeys(origin, signers, readPublicKeys(pem, origin));
  } catch (error) {
    throw new ConfigError([`PASSKEY_AUDIT_KEY_FILE: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** @param publicKeys keys that may have signed the log, of which the private parts are not here */
export function makeLogKeys(
  origin: string,
  signers: readonly LogSigner[],
  publicKeys: readonly VerifierKey[] = [],
): LogKeys {
  const present = signers.filter(({ isFormer }) => !isFormer);
  const former = [...signers.filter(({ isFormer }) => isFormer).map(({ key }) => key), ...publicKeys];
  const verifierKeys = present.map(({ key }) => `${formatVerifierKey(key)}\n`).join('');
  return Object.freeze({ origin, signers, former, verifierKeys });
}

/**
 * Selects the keys that must have signed a checkpoint of ours: each of the present keys, or else a former key of each
 * algorithm that former keys have, so that removing a signature does not help.
 *
 * @throws NoteError if it is not a note
 */
export function selectKeys({ signers, former }: LogKeys, note: string): { keys: VerifierKey[]; areFormer: boolean } {
  const present = signers.filter(({ isFormer }) => !isFormer).map(({ key }) => key);
  const { signatures } = parseNote(note);
  const hasSigned = (key: VerifierKey): boolean => signatures.some(({ keyId }) => keyId === key.keyId);
  const signed = former.filter(hasSigned);
  const algorithms = new Set(signed.map(({ algorithm }) => algorithm));
  const areFormer =
    !present.every(hasSigned) && signed.length > 0 && former.every(({ algorithm }) => algorithms.has(algorithm));
  return { keys: areFormer ? [...signed, ...present.filter(hasSigned)] : present, areFormer };
}

/**
 * Says in one sentence that a checkpoint is of a log with another name, or was signed by other keys than those that must have
 * signed it. It does not verify the signatures.
 *
 * @returns undefined if name and keys fit, or it is not the note of a checkpoint
 */
export function describeForeign(keys: LogKeys, note: string): string | undefined {
  try {
    const { text, signatures } = parseNote(note);
    const { origin, size } = parseCheckpoint(text);
    const checkpoint = `the newest checkpoint of the audit log in this database (${String(size)} leaves)`;
    if (origin !== keys.origin) {
      return `${checkpoint} is of ${origin}, but PASSKEY_DEPLOYMENT_NAME makes this log ${keys.origin}: set the name back, or correct DATABASE_URL`;
    }
    const signed = [...new Set(signatures.map(({ keyId }) => keyId))];
    const demanded = selectKeys(keys, note).keys.map(({ keyId }) => keyId);
    if (demanded.every((keyId) => signed.includes(keyId))) return undefined;
    return `${checkpoint} is signed by the keys ${signed.join(', ')}, but PASSKEY_AUDIT_KEY_FILE has ${demanded.join(', ')}: use the file of the other replicas, put the keys that have signed under the new ones, or correct DATABASE_URL`;
  } catch (error) {
    if (error instanceof NoteError) return undefined;
    throw error;
  }
}
