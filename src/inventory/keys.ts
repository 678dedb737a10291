import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { describeKey, sha256 } from './certificates.js';
import { type PostQuantum, postQuantumOf } from './post-quantum.js';

/** A key that the service holds. Of a private key its public part is described; of a secret one, nothing but its size. */
export interface HeldKey {
  readonly what: string;
  readonly where: string;
  readonly algorithm: string;
  readonly size: string;
  /** SHA-256 of the public key's DER; a secret key has none. */
  readonly fingerprint: string;
  readonly postQuantum: PostQuantum;
}

const PRIVATE_KEYS = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[^-]*-----END \1-----/g;

/** @throws Error when a key does not open; the message says nothing of what the file holds */
export function serverKeys({ tls }: Config): HeldKey[] {
  return privateKeys(tls.keyFile, 'proves the server to callers (TLS)', passphraseOf(tls.keyPassphraseFile));
}

function passphraseOf(file: string | undefined): string | undefined {
  return file && readFileSync(file, 'utf8').replace(/\r?\n$/, '');
}

/** @throws Error when a key does not open */
export function auditKeys({ auditKeyFile, auditKeyPassphraseFile }: Config): HeldKey[] {
  return privateKeys(auditKeyFile, 'signs the audit log', passphraseOf(auditKeyPassphraseFile));
}

/** The file's own key, and those that are derived from it. */
export function bindingKeys({ bindingKeyFile }: Config): HeldKey[] {
  const bytes = Buffer.from(readFileSync(bindingKeyFile, 'utf8').trim(), 'base64').length;
  const secret = { where: bindingKeyFile, fingerprint: '', postQuantum: 'yes' } as const;
  const derived = { ...secret, algorithm: 'HMAC-SHA-256', size: '256 bit' };
  return [
    { ...secret, what: 'gives the three keys below', algorithm: 'HKDF-SHA-256', size: `${String(bytes * 8)} bit` },
    { ...derived, what: 'seals credential rows (MAC)' },
    { ...derived, what: 'makes decoys for users without passkeys' },
    { ...derived, what: 'stands in the audit log for ids that are no user’s' },
  ];
}

function privateKeys(file: string, what: string, passphrase?: string): HeldKey[] {
  const blocks = readFileSync(file, 'latin1').match(PRIVATE_KEYS) ?? [];
  if (blocks.length === 0) throw new Error('holds no private key in PEM');
  return blocks.map((key) => {
    const publicKey = createPublicKey(createPrivateKey({ key, ...(passphrase ? { passphrase } : {}) }));
    const { algorithm, size } = describeKey(publicKey);
    const fingerprint = sha256(publicKey.export({ type: 'spki', format: 'der' }));
    return { what, where: file, algorithm, size, fingerprint, postQuantum: postQuantumOf(algorithm) };
  });
}
