/**
 * What SQLSTATEs and their classes mean for an operator, and what to do: sentences about the server, `it`. A state counts before
 * its class, which is its first two characters (PostgreSQL, Appendix A). docs/runbook.md has the same table.
 */
export const SQL_STATES: Readonly<Record<string, string>> = {
  '08': 'the connection to it broke: look at its log and at the network',
  '0A000': 'it does not run this statement any more, because a table has changed: the statement is prepared anew',
  '22': 'it refuses a value: find the trigger, constraint or function that somebody added',
  '23': 'it refuses a row: find the constraint that somebody added, or the partition that is missing',
  '25': 'it has ended the transaction, or does not accept the statement in it: try again',
  '25006': 'it takes no writes: it is a standby, or default_transaction_read_only is on',
  '26000': 'it has lost a prepared statement: a pooler in between drops them',
  '28': 'it does not accept the login: compare the user, the password and pg_hba.conf',
  '3D000': 'it has no such database',
  '40': 'transactions were in the way of each other: try again',
  '42': 'its schema is not that of this version, or the role may not use it: run the migrations as its migrator: npm run migration:run -- --grants',
  '42501': 'the role lacks a privilege: run the grants as the migrator: npm run migration:run -- --grants',
  '53': 'it lacks resources: look at its log',
  '53100': 'its disk is full: make room',
  '53200': 'it has no memory left',
  '53300': 'it has no connection left: end some, or raise max_connections or the limit of the role or the database',
  '53400': 'a limit of its configuration is reached, such as temp_file_limit',
  '54': 'the statement exceeds one of its limits, such as max_stack_depth',
  '55': 'an object is not in a state that allows this: look at its log',
  '55000': 'it does not allow this now, such as connections to the database',
  '55006': 'another session uses the object: end it',
  '55P03': 'another session holds a lock: try again',
  '57': 'it was told to stop this: look at its log',
  '57014': 'it ended the statement, because it took too long or somebody cancelled it',
  '57P01': 'it stops, or somebody ended the session',
  '57P02': 'one of its processes crashed, and it starts again',
  '57P03': 'it starts or stops, and accepts no connections now',
  '57P04': 'the database was dropped',
  '57P05': 'it ended the session, because it was idle for longer than idle_session_timeout',
  '58': 'it cannot read or write its files: look at its disks',
  F0: 'it cannot read its configuration files',
  HV: 'a foreign data wrapper fails: this service uses none',
  P0: 'a trigger or function refuses the statement: find out who added it',
  XX: 'it has an internal error: look at its log',
  XX001: 'a table is damaged: take a copy of its files, then restore a backup',
  XX002: 'an index is damaged: find it in its log, and REINDEX it',
};

/** SQLSTATEs after which the same statement can succeed without anybody doing anything to this database. */
const PASSING = /^(08|53|57|58|40|25006|25P03|25P04|26000|55P03)/;
/** SQLSTATEs that every row of a statement would meet, if it ran alone. */
const OF_ALL_ROWS = /^(08|0A|25|26|28|3D|42|53|55000|55006|57|58)/;

/** Codes of Node.js, such as EPERM, begin with an E. No SQLSTATE does. */
const FORM = /^(?!E)[0-9A-Z]{5}$/;

export function isSqlState(code: unknown): code is string {
  return typeof code === 'string' && FORM.test(code);
}

/** Reports whether the state ends by itself, with the fault of the server, the network or another session. */
export function isPassing(state: string): boolean {
  return PASSING.test(state);
}

/** Reports whether one row of the statement may be the cause. The statement has changed nothing then. */
export function isOfOneRow(state: string): boolean {
  return !OF_ALL_ROWS.test(state);
}

/** Says what a SQLSTATE means, and what to do if the operator must do something. */
export function describeSqlState(state: string): string {
  return SQL_STATES[state] ?? SQL_STATES[state.slice(0, 2)] ?? 'it refuses the statement: look at its log';
}
