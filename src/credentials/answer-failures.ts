/* Which failures of a statement that stores the outcome of an answer mean something. */

/** SQLSTATE unique_violation */
const NOT_UNIQUE = '23505';

/** SQLSTATE check_violation, which PostgreSQL reports for a row that belongs to no partition. */
const NO_PARTITION = '23514';

/** True if another statement stored a credential with the same credential id while this one ran. */
export function isTakenMeanwhile(error: unknown): boolean {
  return isAbout('credential', NOT_UNIQUE, error, /"credential_/);
}

/**
 * True if a challenge is of a period that has no partition. At a worker the name of the table is followed by a number, and that of a period by two.
 */
export function isWithoutPeriod(error: unknown): boolean {
  return isAbout('spent_challenge', NO_PARTITION, error, /"spent_challenge_\d+"/);
}

/** @param told a coordinator of Citus passes on the message of a worker, which has the name of the table, and not the table */
function isAbout(name: string, sqlState: string, error: unknown, told: RegExp): boolean {
  const { code, table, message } = error as Readonly<Record<string, unknown>>;
  return code === sqlState && (table === undefined ? told.test(String(message)) : table === name);
}
