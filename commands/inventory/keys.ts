import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../../src/config/config.js';
import { readKeyLines } from '../../src/config/secret-keys.js';
import { findPemBlocks } from '../../src/x509/pem.js';
import { describeKey, sha256 } from './certificates.js';
import { type PostQuantum, classifyPostQuantum } from './algorithms.js';

/**
 * A key that the service holds. The entry describes the public part of a private key, and only the size of a secret
 * key.
 */
export interface HeldKey {
  readonly what: string;
  readonly where: string;
  readonly algorithm: string;
  readonly size: string;
  /** Lower-case hexadecimal SHA-256 of the public key's DER; a secret key has none. */
  readonly fingerprint: string;
  readonly postQuantum: PostQuantum;
}

/** Describes the keys of the TLS server. @throws Error when a key cannot be opened, without any content of the file */
export function describeServerKeys({ tls }: Config): HeldKey[] {
  return describePrivateKeys(
    tls.keyFile,
    'authenticates the server to callers (TLS)',
    readPassphrase(tls.keyPassphraseFile),
  );
}

function readPassphrase(file: string | undefined): string | undefined {
  return file && readFileSync(file, 'utf8').replace(/\r?\n$/, '');
}

/** Describes the keys that sign the audit log. @throws Error when a key cannot be opened */
export function describeAuditKeys({ auditKeyFile, auditKeyPassphraseFile }: Config): HeldKey[] {
  return describePrivateKeys(auditKeyFile, 'signs the audit log', readPassphrase(auditKeyPassphraseFile));
}

/** Describes the key in the file and the keys that are derived from it. */
export function describeBindingKeys({ bindingKeyFile, challengeKeysFile }: Config): HeldKey[] {
  const bytes = Buffer.from(readFileSync(bindingKeyFile, 'utf8').trim(), 'base64').length;
  const secret = { where: bindingKeyFile, fingerprint: '', postQuantum: 'yes' } as const;
  const derived = { ...secret, algorithm: 'HMAC-SHA-256', size: '256 bit' };
  return [
    { ...secret, what: 'source of the keys below', algorithm: 'HKDF-SHA-256', size: `${String(bytes * 8)} bit` },
    { ...derived, what: 'seals credential rows (MAC)' },
    { ...derived, what: 'seals requests for approval (MAC)' },
    { ...derived, what: 'makes decoys for users without passkeys' },
    { ...derived, what: 'makes stand-ins in the audit log for ids of no user' },
    ...(challengeKeysFile === undefined ? [{ ...secret, ...SEALS_CHALLENGES }] : []),
  ];
}

const SEALS_CHALLENGES = { what: 'seals challenges', algorithm: 'AES-256-GCM', size: '256 bit' } as const;

/** Describes the keys of sealed challenges, if they are not derived from the binding key. */
export function describeChallengeKeys({ challengeKeysFile }: Config): HeldKey[] {
  if (challengeKeysFile === undefined) return [];
  return readKeyLines(challengeKeysFile).map((_, index) => ({
    ...SEALS_CHALLENGES,
    what: index === 0 ? SEALS_CHALLENGES.what : 'opens challenges that it sealed before',
    where: challengeKeysFile,
    fingerprint: '',
    postQuantum: 'yes',
  }));
}

function describePrivateKeys(file: string, what: string, passphrase?: string): HeldKey[] {
  const blocks = findPemBlocks(readFileSync(file, 'latin1'), '[A-Z0-9 ]*PRIVATE KEY');
  if (blocks.length === 0) throw new Error('holds no private key in PEM');
  return blocks.map((key) => {
    const publicKey = createPublicKey(createPrivateKey({ key, ...(passphrase ? { passphrase } : {}) }));
    const { algorithm, size } = describeKey(publicKey);
    const fingerprint = sha256(publicKey.export({ type: 'spki', format: 'der' }));
    return { what, where: file, algorithm, size, fingerprint, postQuantum: classifyPostQuantum(algorithm) };
  });
}
