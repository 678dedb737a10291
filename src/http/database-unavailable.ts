import { describeSqlState, isPassing, isSqlState } from './sql-states.js';

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
 * Messages of node-postgres errors that have no code. The last is from TypeORM, for a transaction whose connection
 * ended between two statements.
 */
const WITHOUT_CODE =
  /connection terminated|timeout exceeded when trying to connect|timeout expired|not queryable|query read timeout|connection is not established|cannot use a pool after calling end|query runner (already|was already) released/i;

/**
 * The service could not connect to the database: its password has changed, its certificate has expired, it accepts no
 * connections now. A caller can retry in each case, because each ends when an operator corrects it.
 */
export class DatabaseUnreachableError extends Error {
  /** The code of the cause: an SQLSTATE, or the code of a socket error. */
  readonly code: string | undefined;

  /** @param server names the server if the URL has several */
  constructor(cause: Error & { readonly code?: string | undefined }, server?: string) {
    super(`${server === undefined ? '' : `${server}: `}${readMessage(cause)}`, { cause });
    this.name = 'DatabaseUnreachableError';
    this.code = cause.code;
  }

  /** Makes one error of those of several servers. */
  static join(errors: readonly DatabaseUnreachableError[]): DatabaseUnreachableError {
    const [first] = errors;
    if (errors.length === 1 && first) return first;
    const message = errors.map((error) => error.message).join('; ');
    return new DatabaseUnreachableError(Object.assign(new Error(message, { cause: first }), { code: first?.code }));
  }
}

/** The error of a name with several addresses has no message of its own. */
function readMessage(error: Error & { readonly errors?: readonly Error[] }): string {
  return error.message || (error.errors ?? []).map(readMessage).join('; ');
}

/**
 * Reports whether an error means that the database cannot be reached or refuses a statement. The service expects no refusal
 * where it does not handle one, and a caller cannot cause one: members are validated before. So somebody must correct the
 * database, or wait, and the same request can succeed then. Nothing was changed.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if (error instanceof DatabaseUnreachableError) return true;
  const { code, message, driverError } = error as Readonly<Record<string, unknown>>;
  if (typeof message !== 'string') return false;
  if (typeof driverError === 'object' && driverError !== error) return isDatabaseUnavailable(driverError);
  if (typeof code === 'string') return SOCKET_ERRORS.has(code) || isSqlState(code);
  return WITHOUT_CODE.test(message);
}

/** Reports whether an error means that the database is away, and may be back without a change to it. */
export function isDatabaseAway(error: unknown): boolean {
  const state = findSqlState(error);
  return isDatabaseUnavailable(error) && (state === undefined || isPassing(state));
}

/** @returns undefined if PostgreSQL did not report the error */
export function findSqlState(error: unknown): string | undefined {
  const { code, driverError } = (error ?? {}) as { readonly code?: unknown; readonly driverError?: unknown };
  if (isSqlState(code)) return code;
  return driverError === undefined || driverError === error ? undefined : findSqlState(driverError);
}

/** Fields of a log line: the SQLSTATE of an error of PostgreSQL, what it means and what to do. */
export function describeDatabaseError(error: unknown): { readonly sqlState?: string; readonly meaning?: string } {
  const sqlState = findSqlState(error);
  return sqlState === undefined ? {} : { sqlState, meaning: describeSqlState(sqlState) };
}
