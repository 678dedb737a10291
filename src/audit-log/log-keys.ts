import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from '../config/config.js';
import { formatVerifierKey, type LogSigner, readFormerKeys, readLogSigners, type VerifierKey } from '../tlog/keys.js';

/** The keys that sign the log's checkpoints. The private keys come from a file and stay in this process. */
export interface LogKeys {
  /** Identifies the log: `passkey-manager/<deployment name>`. */
  readonly origin: string;
  readonly signers: readonly LogSigner[];
  /** Public keys from the key file. A note that they signed may be continued, as after a change of keys. */
  readonly former: readonly VerifierKey[];
  /** C2SP verifier keys, one per line. */
  readonly verifierKeys: string;
}

export const LOG_KEYS = Symbol('LogKeys');

/** @throws ConfigError that names the setting whose file holds no usable key */
export function readLogKeys(config: Config): LogKeys {
  const { auditKeyFile, auditKeyPassphraseFile, deploymentName } = config;
  const origin = `passkey-manager/${deploymentName}`;
  try {
    const passphrase =
      auditKeyPassphraseFile === undefined
        ? undefined
        : readFileSync(auditKeyPassphraseFile, 'utf8').replace(/\r?\n$/, '');
    const pem = readFileSync(auditKeyFile, 'utf8');
    const signers = readLogSigners(pem, origin, passphrase);
    const former = readFormerKeys(pem, origin);
    const verifierKeys = signers.map(({ key }) => `${formatVerifierKey(key)}\n`).join('');
    return Object.freeze({ origin, signers, former, verifierKeys });
  } catch (error) {
    throw new ConfigError([`PASSKEY_AUDIT_KEY_FILE: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
