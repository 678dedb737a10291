import { DatabaseUnreachableError, findSqlState, isDatabaseUnavailable } from '../http/database-unavailable.js';
import { describeSqlState } from '../http/sql-states.js';

const UNKNOWN_AUTHORITY =
  'its certificate is not from a known authority: name the file of its authority in sslrootcert';
const NOT_PEM = 'sslrootcert, sslcert or sslkey is not a PEM file that can be used';

/** What the codes of Node.js mean for an operator. */
const BY_CODE: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: compare the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name than the host of the URL',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate: set sslcert and sslkey',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not accept the certificate of sslcert',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'sslkey is not the key of sslcert',
  ERR_OSSL_BAD_DECRYPT: 'sslkey cannot be decrypted with sslpassword',
  ERR_OSSL_PEM_NO_START_LINE: NOT_PEM,
  ERR_OSSL_PEM_BAD_BASE64_DECODE: NOT_PEM,
  ERR_OSSL_UNSUPPORTED: NOT_PEM,
};

const BY_MESSAGE: readonly (readonly [RegExp, string])[] = [
  [/client password must be a (non-empty )?string/, 'it asks for a password, and the settings have none'],
  [/does not support SSL/, 'it does not use TLS, which sslmode demands'],
];

/**
 * Says in one sentence why the database cannot be used, with the words of the cause in brackets. They have no password.
 *
 * @returns undefined if the error is about something else
 */
export function describeConnectionFailure(error: unknown): string | undefined {
  if (!isDatabaseUnavailable(error)) return undefined;
  const { code = '', message } = error as Error & { readonly code?: string };
  const state = findSqlState(error);
  const known =
    state === undefined
      ? (BY_CODE[code] ?? BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1])
      : describeSqlState(state);
  if (known === undefined) return message || code;
  return `${known} (${message})`;
}

/** Describes any error of a program: that of a connection in one sentence. */
export function describeProgramFailure(error: unknown): string {
  const told = describeConnectionFailure(error);
  if (told === undefined) return (error as Error).message;
  return error instanceof DatabaseUnreachableError
    ? `DATABASE_URL names a database that cannot be used: ${told}`
    : told;
}
