import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readPemBlocks } from '../x509/pem.js';
import { TrustMaterialError } from './trust-material-error.js';

/**
 * The most that the clock of another machine may be ahead: a certificate that was made a moment ago must not count as
 * one of the future.
 */
const CLOCK_SKEW_MS = 300_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/**
 * Reads the service's own certificate, which is the first one in the file. Callers must be able to accept it, and the
 * key must belong to it.
 *
 * @param held the certificate in use; it may have ended, because an ended certificate must not block a new revocation
 *   list
 * @throws TrustMaterialError
 */
export function readServerCertificate(
  { cert, key, passphrase }: { cert: Buffer; key: Buffer; passphrase?: string | undefined },
  now: Date,
  held?: X509Certificate,
): X509Certificate {
  const certificate = parseFirstCertificate(cert);
  const { validFromDate, validToDate } = certificate;
  if (now > validToDate && certificate.fingerprint256 !== held?.fingerprint256) {
    throw TrustMaterialError.forSetting('CERT_FILE', `the certificate ended on ${validToDate.toISOString()}`);
  }
  if (now.getTime() + CLOCK_SKEW_MS < validFromDate.getTime()) {
    throw TrustMaterialError.forSetting('CERT_FILE', `the certificate begins on ${validFromDate.toISOString()}`);
  }
  const usages = certificate.keyUsage as string[] | undefined;
  if (usages && !usages.includes(SERVER_AUTH)) {
    throw TrustMaterialError.forSetting('CERT_FILE', 'extended key usage lacks serverAuth');
  }
  if (!certificate.checkPrivateKey(openServerKey(key, passphrase))) {
    throw TrustMaterialError.forSetting('KEY_FILE', 'is the key of another certificate');
  }
  return certificate;
}

function parseFirstCertificate(pem: Buffer): X509Certificate {
  try {
    const [first] = readPemBlocks(pem.toString('latin1'), '(?:TRUSTED |X509 )?CERTIFICATE');
    if (first) return new X509Certificate(first.text);
  } catch {
    throw TrustMaterialError.forSetting('CERT_FILE', 'holds a certificate that cannot be parsed');
  }
  throw TrustMaterialError.forSetting('CERT_FILE', 'holds no certificate (PEM)');
}

function openServerKey(pem: Buffer, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    if (isEncrypted(pem)) {
      throw passphrase === undefined
        ? TrustMaterialError.forSetting(
            'KEY_FILE',
            'is encrypted: PASSKEY_TLS_KEY_PASSPHRASE_FILE names its passphrase',
          )
        : TrustMaterialError.forSetting('KEY_PASSPHRASE_FILE', 'does not open the key');
    }
    throw TrustMaterialError.forSetting('KEY_FILE', 'holds no private key (PEM)');
  }
}

function isEncrypted(pem: Buffer): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem.toString('latin1'));
}
