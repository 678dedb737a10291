import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../../src/config/config.js';
import { readKeyLines } from '../../src/config/secret-keys.js';
import { openTokenKey } from '../../src/pkcs11/token.js';
import { isTokenUri } from '../../src/pkcs11/token-uri.js';
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
  const what = 'signs the audit log';
  const inTokens = readKeyLines(auditKeyFile).filter(isTokenUri);
  const described = inTokens.map((uri) => describePrivateKey(openTokenKey(uri).publicKey, what, uri));
  if (described.length > 0 && findPrivateKeys(auditKeyFile).length === 0) return described;
  return [...described, ...describePrivateKeys(auditKeyFile, what, readPassphrase(auditKeyPassphraseFile))];
}

/** Describes the keys of receipts, if there are any. @throws Error when a key cannot be opened */
export function describeReceiptKeys({ receiptKeyFile }: Config): HeldKey[] {
  if (receiptKeyFile === undefined) return [];
  const [first, ...others] = describePrivateKeys(receiptKeyFile, 'is published, and does not sign receipts now');
  return [{ ...first!, what: 'signs receipts' }, ...others];
}

/** Describes the keys of signals, if there are any. @throws Error when a key cannot be opened */
export function describeSignalKeys({ signals }: Config): HeldKey[] {
  return signals ? describePrivateKeys(signals.keyFile, 'signs signals, or is published for it') : [];
}

/** Describes the key in the file and the keys that are derived from it. */
export function describeBindingKeys({ bindingKeyFile, challengeKeysFile }: Config): HeldKey[] {
  const sources = readKeyLines(bindingKeyFile).map((line, index) => ({
    what: index === 0 ? 'source of the keys below' : 'source of keys that verify what they sealed',
    ...(isTokenUri(line)
      ? { where: line, algorithm: 'HMAC-SHA-256', size: '256 bit' }
      : {
          where: bindingKeyFile,
          algorithm: 'HKDF-SHA-256',
          size: `${String(Buffer.from(line, 'base64').length * 8)} bit`,
        }),
    fingerprint: '',
    postQuantum: 'yes' as const,
  }));
  const secret = { where: bindingKeyFile, fingerprint: '', postQuantum: 'yes' } as const;
  const derived = { ...secret, algorithm: 'HMAC-SHA-256', size: '256 bit' };
  return [
    ...sources,
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
  return readKeyLines(challengeKeysFile).map((line, index) => ({
    ...SEALS_CHALLENGES,
    what: index === 0 ? SEALS_CHALLENGES.what : 'opens challenges that it sealed before',
    where: isTokenUri(line) ? line : challengeKeysFile,
    fingerprint: '',
    postQuantum: 'yes',
  }));
}

function describePrivateKeys(file: string, what: string, passphrase?: string): HeldKey[] {
  const blocks = findPrivateKeys(file);
  if (blocks.length === 0) throw new Error('holds no private key in PEM');
  return blocks.map((key) => {
    const publicKey = createPublicKey(createPrivateKey({ key, ...(passphrase ? { passphrase } : {}) }));
    return describePrivateKey(publicKey, what, file);
  });
}

function findPrivateKeys(file: string): string[] {
  return findPemBlocks(readFileSync(file, 'latin1'), '[A-Z0-9 ]*PRIVATE KEY');
}

function describePrivateKey(publicKey: KeyObject, what: string, where: string): HeldKey {
  const { algorithm, size } = describeKey(publicKey);
  const fingerprint = sha256(publicKey.export({ type: 'spki', format: 'der' }));
  return { what, where, algorithm, size, fingerprint, postQuantum: classifyPostQuantum(algorithm) };
}
