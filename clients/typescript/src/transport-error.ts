/** How a request can fail without an answer of the service, and what to check then. */
const ADVICE = {
  'name-unknown': 'Check the host in `url`, and the DNS of this machine.',
  'connection-refused': 'Check the host and the port in `url`, and whether the service runs.',
  unreachable: 'Check the network and its policies between this machine and the service.',
  'server-untrusted':
    'The certificate of the service leads to no CA in `caFile`. Check that `url` leads to the service, and that `caFile` holds the CA of its certificate.',
  'server-name-mismatch':
    'The certificate of the service is for other names. Check the host in `url`, or ask the operators for a certificate with this name.',
  'server-certificate-expired':
    'The certificate of the service is not valid now. Tell its operators, or check the clock of this machine.',
  'client-certificate-expired':
    'The certificate in `certFile` is not valid now. Renew it, or check the clock of this machine.',
  'client-certificate-refused':
    'The service closes a new connection without an answer when it refuses the client certificate. Check that a CA which the service trusts has issued the certificate in `certFile`, that it is valid and not revoked, that `certFile` holds its intermediates, and then that the service runs.',
  'tls-failed': 'Check that the port in `url` is the one for mutual TLS, and that nothing between ends TLS.',
  timeout: 'Check whether the service is overloaded, and whether `timeoutMs` leaves it enough time.',
  'connection-lost': 'The connection ended before the answer. Check whether the service was stopped.',
  'answer-unreadable': 'The answer is not JSON. Check that `url` leads to Passkey Manager.',
} as const;

export type TransportFault = keyof typeof ADVICE;

/** Describes a request that got no answer. */
export interface Attempt {
  readonly origin: string;
  /** Counts the tries of the request, from 1. */
  readonly attempts: number;
  /** The TLS handshake was done, as far as the client can see. */
  readonly connected: boolean;
  /** The connection had served another request before. */
  readonly reused: boolean;
  /** The head of the answer has arrived. */
  readonly answered: boolean;
  /** The end of the client certificate's validity is past, or its start is to come. */
  readonly certificateInvalid: boolean;
  /** Why the client does not use files that have changed. */
  readonly trouble: string | undefined;
}

/** A request got no answer of the service. */
export class PasskeyTransportError extends Error {
  override readonly name = 'PasskeyTransportError';
  readonly code: TransportFault;
  /** Tells a developer or an operator what to check. */
  readonly advice: string;
  /** False if the service certainly has not begun to carry out the request. */
  readonly mayHaveArrived: boolean;
  /** How often the client has tried. */
  readonly attempts: number;

  constructor(code: TransportFault, cause: Error, { origin, attempts, connected, trouble }: Attempt) {
    const note = trouble === undefined ? '' : ` The files have changed and cannot be used: ${trouble}.`;
    super(`${origin}: ${describeCause(cause)}. ${ADVICE[code]}${note}`, { cause });
    this.code = code;
    this.advice = ADVICE[code];
    this.mayHaveArrived = connected && !isAlert(cause);
    this.attempts = attempts;
  }
}

/** Finds out why a connection failed. */
export function diagnose(cause: Error, attempt: Attempt): TransportFault {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (/^(?:ENOTFOUND|EAI_\w+)$/.test(code)) return 'name-unknown';
  if (code === 'ECONNREFUSED') return 'connection-refused';
  if (/^(?:ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/.test(code)) return 'server-name-mismatch';
  if (/^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/.test(code)) return 'server-certificate-expired';
  if (/^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_)/.test(code)) return 'server-untrusted';
  if (isAlert(cause)) return refusedCertificate(attempt);
  if (/^(?:ERR_SSL_|ERR_TLS_|EPROTO$)/.test(code)) return 'tls-failed';
  if (attempt.connected && !attempt.reused && !attempt.answered) return refusedCertificate(attempt);
  if (!attempt.connected && /^(?:EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ETIMEDOUT)$/.test(code)) return 'unreachable';
  return 'connection-lost';
}

/**
 * Tells an alert about the client certificate. Node.js as a server sends none: it closes the connection after a
 * handshake that looks successful to the client. Other servers and proxies send one.
 */
function isAlert(cause: Error): boolean {
  const { code = '' } = cause as NodeJS.ErrnoException;
  // Such as ERR_SSL_TLSV1_ALERT_UNKNOWN_CA and ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_REVOKED.
  return /^ERR_SSL_[\w/]+_ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)$/.test(code);
}

function refusedCertificate({ certificateInvalid }: Attempt): TransportFault {
  return certificateInvalid ? 'client-certificate-expired' : 'client-certificate-refused';
}

/** A host with several addresses fails with an error for each, and with an empty message of its own. */
function describeCause(cause: Error): string {
  if (cause instanceof AggregateError) return cause.errors.map((error: Error) => error.message).join(', ');
  return cause.message.trim();
}
