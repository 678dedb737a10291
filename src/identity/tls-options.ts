import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:https';
import type { SecureVersion } from 'node:tls';

export interface TlsFileContents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
  /** Undefined only if callers' certificates are short-lived: then OpenSSL checks no revocation. */
  readonly crl: Buffer | undefined;
  /** The passphrase of an encrypted key. */
  readonly passphrase?: string | undefined;
}

export interface TlsContext extends TlsFileContents {
  readonly minVersion: SecureVersion;
  readonly ecdhCurve: string;
  readonly sigalgs: string;
  readonly secureOptions: number;
}

/**
 * The signature algorithms for handshakes and certificates: those of OpenSSL without SHA-224. OpenSSL skips an
 * algorithm with `?` if its build does not know it.
 */
const SIGNATURES = [
  ...['?mldsa65', '?mldsa87', '?mldsa44', 'ecdsa_secp256r1_sha256', 'ecdsa_secp384r1_sha384', 'ecdsa_secp521r1_sha512'],
  ...['ed25519', 'ed448', 'rsa_pss_rsae_sha256', 'rsa_pss_rsae_sha384', 'rsa_pss_rsae_sha512'],
  ...['rsa_pss_pss_sha256', 'rsa_pss_pss_sha384', 'rsa_pss_pss_sha512'],
  ...['rsa_pkcs1_sha256', 'rsa_pkcs1_sha384', 'rsa_pkcs1_sha512'],
];

/**
 * Builds the TLS context: TLS 1.3 only, no session resumption (a resumed session would outlive its certificate), and
 * revocation checks. Every caller builds the whole context, and says so if it has no `crl`, because such a context
 * checks no revocation.
 */
export function createTlsContext(contents: TlsFileContents): TlsContext {
  return {
    ...contents,
    minVersion: 'TLSv1.3',
    ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
    sigalgs: SIGNATURES.join(':'),
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/**
 * Builds the options of the listener: mutual TLS and one protocol. Other timeouts apply after the handshake
 * (src/http/connection-limits.ts).
 */
export function createTlsOptions(context: TlsContext): ServerOptions {
  return {
    ...context,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: 10_000,
    maxHeaderSize: 16_384,
    requireHostHeader: false, // src/http/request-head.ts demands it, and explains the refusal
  };
}
