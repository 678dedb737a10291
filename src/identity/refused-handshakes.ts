import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Logger } from '@nestjs/common';
import type { Refusals } from '../audit/refusals.js';
import type { Metrics } from '../telemetry/metrics.js';

/**
 * Records refused handshakes with the reason and the address, which is known only when the connection begins. Refusals
 * over the limit of an address are counted, and the next record gives their number.
 */
export function recordRefusedHandshakes(server: Server, refusals: Refusals, metrics: Metrics): void {
  const logger = new Logger('RefusedHandshakes');
  const remotes = new WeakMap<object, { ip: string; port: number }>();
  server.on('connection', (socket) => {
    remotes.set(socket, { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
  });
  server.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    metrics.handshakesRefused.inc();
    const parent = (socket as unknown as { _parent?: object })._parent ?? socket;
    const source = remotes.get(parent) ?? { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const refusal = findRefusal(socket);
    const reason = refusal ?? error.code ?? error.name;
    const detail = (refusal === undefined ? error.message : explainRefusal(refusal)).slice(0, 200);
    refusals
      .refuseHandshake(
        { requestId: '', operation: 'TLS handshake', source },
        { type: 'handshake.refused', outcome: 'failure', reason, detail },
      )
      .catch((failure: unknown) => {
        logger.error({ message: 'a refused handshake is not recorded yet', sourceIp: source.ip, error: failure });
      });
  });
}

/**
 * What the codes mean that Node.js gives OpenSSL's verdicts on a client's certificate. docs/runbook.md says what to do
 * about each. The error itself says only `socket hang up`.
 */
export const REFUSALS: Readonly<Record<string, string>> = {
  CERT_REVOKED: 'the revocation list of its authority names the certificate',
  CERT_HAS_EXPIRED: 'the certificate, or one above it, has expired',
  CERT_NOT_YET_VALID: 'the certificate, or one above it, is not valid yet',
  INVALID_PURPOSE: 'the certificate is not for client authentication (extended key usage clientAuth)',
  UNABLE_TO_GET_CRL:
    'no revocation list of the certificate’s authority; a certificate of an unknown authority looks like this, too',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'no known authority signed the certificate, or the client did not send the intermediate that did',
  UNABLE_TO_GET_ISSUER_CERT: 'an authority above the certificate is unknown',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'an authority above the certificate is unknown',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself, not by an authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'the client sent a root that is not among the callers’ authorities',
  CERT_UNTRUSTED: 'an authority above the certificate is not trusted for client authentication',
  CERT_REJECTED: 'an authority above the certificate is marked as rejected for client authentication',
  CERT_SIGNATURE_FAILURE: 'the signature of the certificate is not its authority’s',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'the signature of the certificate cannot be read',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'the public key of an authority above the certificate cannot be read',
  INVALID_CA: 'a certificate above it is no certificate of an authority',
  PATH_LENGTH_EXCEEDED: 'more intermediates than an authority above them allows (pathlen)',
  CERT_CHAIN_TOO_LONG: 'the client sent too long a chain of certificates',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'the time from which the certificate is valid cannot be read',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'the time at which the certificate ends cannot be read',
  CRL_HAS_EXPIRED: 'the revocation list of the certificate’s authority has expired',
  CRL_NOT_YET_VALID: 'the revocation list of the certificate’s authority is not valid yet',
  CRL_SIGNATURE_FAILURE:
    'the certificate’s authority did not sign the revocation list of its name; another authority of that name looks like this, too',
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: 'the signature of the revocation list cannot be read',
  ERROR_IN_CRL_LAST_UPDATE_FIELD: 'the time of the revocation list (thisUpdate) cannot be read',
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: 'the end of the revocation list (nextUpdate) cannot be read',
  OUT_OF_MEM: 'OpenSSL had no memory to verify the certificate',
  UNSPECIFIED: 'OpenSSL refused the certificate for a reason that Node.js does not name',
};

function explainRefusal(code: string): string {
  return REFUSALS[code] ?? `OpenSSL refused the certificate: ${code}`;
}

/** Returns why the certificate of the client was refused; undefined if it was not. */
function findRefusal(socket: { authorizationError?: Error | string | null }): string | undefined {
  return socket.authorizationError ? String(socket.authorizationError) : undefined;
}
