import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { ServerOptions } from 'node:https';
import { ConfigError, type TlsFiles } from '../config/config.js';

/**
 * The listener's whole TLS configuration: mutual, TLS 1.3 alone, no session resumption (a resumed session would outlive
 * its certificate), revocation checked. Always built whole, because a context without `crl` checks no revocation.
 *
 * @throws ConfigError when a file cannot be read or does not fit the others
 */
export function tlsOptions(files: TlsFiles): ServerOptions {
  try {
    const options: ServerOptions = {
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
    createSecureContext(options);
    return options;
  } catch (error) {
    throw new ConfigError([`PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ${String(error)}`]);
  }
}
