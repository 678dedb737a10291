import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from '../config/config.js';
import { type LogSigner, readLogSigners } from './log/log-signer.js';
import { formatVerifierKey } from './log/verifier-key.js';

/** By whom the log's checkpoints are signed. The private keys come from a file and stay in this process. */
export interface LogKeys {
  /** Which log it is: `passkey-manager/<deployment name>`. */
  readonly origin: string;
  readonly signers: readonly LogSigner[];
  /** C2SP verifier keys, one a line. */
  readonly verifierKeys: string;
}

export const LOG_KEYS = Symbol('LogKeys');

/** @throws ConfigError naming the setting whose file holds no usable key */
export function readLogKeys(config: Config): LogKeys {
  const { auditKeyFile, auditKeyPassphraseFile, deploymentName } = config;
  const origin = `passkey-manager/${deploymentName}`;
  try {
    const passphrase =
      auditKeyPassphraseFile === undefined
        ? undefined
        : readFileSync(auditKeyPassphraseFile, 'utf8').replace(/\r?\n$/, '');
    const signers = readLogSigners(readFileSync(auditKeyFile, 'utf8'), origin, passphrase);
    const verifierKeys = signers.map(({ key }) => `${formatVerifierKey(key)}\n`).join('');
    return Object.freeze({ origin, signers, verifierKeys });
  } catch (error) {
    throw new ConfigError([`PASSKEY_AUDIT_KEY_FILE: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
