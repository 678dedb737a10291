/**
 * SQLSTATEs that say "not now" and leave nothing changed: connection, resources, operator, serialization, read-only, lock,
 * a transaction that the server ended because it took too long, and a role that may not write (the audit log, say), which
 * is the operator's to mend.
 */
const TRANSIENT = /^(08|53|57|58|40|25006|25P03|25P04|55P03|42501)/;

const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * node-postgres gives these without a code; the last is TypeORM's, of a transaction whose connection ended between two
 * statements.
 */
const WITHOUT_CODE =
  /connection terminated|timeout exceeded when trying to connect|timeout expired|not queryable|query read timeout|connection is not established|cannot use a pool after calling end|query runner (already|was already) released/i;

/**
 * A connection to the database could not be made. The reason does not matter to a caller: a password that was changed, a
 * certificate that has ended, a server that takes no connections now. Each is over when it is mended.
 */
export class DatabaseUnreachable extends Error {
  /** The code of the cause: an SQLSTATE, or a socket's. */
  readonly code: string | undefined;

  constructor(cause: Error & { readonly code?: string }) {
    super(cause.message, { cause });
    this.name = 'DatabaseUnreachable';
    this.code = cause.code;
  }
}

/** Whether an error means that the database cannot be reached or cannot take the write right now. */
export function databaseUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if (error instanceof DatabaseUnreachable) return true;
  const { code, message, driverError } = error as Readonly<Record<string, unknown>>;
  if (typeof message !== 'string') return false;
  if (typeof driverError === 'object' && driverError !== error) return databaseUnavailable(driverError);
  if (typeof code === 'string') return TRANSIENT.test(code) || SOCKET_ERRORS.has(code);
  return WITHOUT_CODE.test(message);
}
