import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import type { TlsFiles } from '../config/config.js';

/**
 * The listener's whole TLS configuration: mutual, TLS 1.3 alone, no session resumption (a resumed session would outlive
 * its certificate), revocation checked. Always built whole, because a context without `crl` checks no revocation.
 *
 * @throws when a file cannot be read
 */
export function tlsOptions(files: TlsFiles): ServerOptions {
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    ca: readFileSync(files.caFile),
    crl: readFileSync(files.crlFile),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: 10_000,
    requestTimeout: 15_000,
    headersTimeout: 10_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  };
}
