import type { EntityManager } from 'typeorm';
import type { Queryable } from '../database/named-statement.js';

/**
 * Takes the turn as the sequencer of the log by locking the row of `audit_turn`, which only the service may lock. The
 * turn ends with its transaction.
 *
 * @param wait true to wait while another replica has the turn
 * @param onlyIf SQL condition under which a turn is worth a transaction number
 * @returns false if another replica has the turn, or the condition is not met
 */
export async function takeTurn(manager: EntityManager, wait: boolean, onlyIf: string): Promise<boolean> {
  const turn = await manager.query<unknown[]>(
    `SELECT FROM audit_turn WHERE ${onlyIf} FOR UPDATE ${wait ? '' : 'SKIP LOCKED'}`,
  );
  return turn.length > 0;
}

/** A session or a prepared transaction that holds a lock. */
export interface LockHolder {
  /** null for a prepared transaction. */
  readonly pid: number | null;
  readonly database: string | null;
  readonly role: string | null;
  readonly application: string | null;
  /** Name of the prepared transaction; null for a session. */
  readonly prepared: string | null;
  readonly table: string;
  readonly mode: string;
}

/** SQL: locks that block the sequencer on tables that only the sequencer writes. */
const SEQUENCER_TABLE_LOCKS = `lock.relation = ANY ('{audit_turn,audit_leaf,audit_node,audit_checkpoint}'::regclass[])
  AND lock.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')`;
/** SQL: locks that block the sequencer on tables that requests write, too. */
const SHARED_TABLE_LOCKS = `(lock.relation = ANY ('{audit_pending,audit_event}'::regclass[])
    OR lock.relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_event'::regclass))
  AND lock.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;
/**
 * SQL: locks of other roles on the tables that partitions are made in. The service's own sessions release theirs within
 * moments.
 */
const PARTITION_LOCKS = `lock.relation = ANY ('{audit_event,audit_event_default}'::regclass[]) AND usename IS DISTINCT FROM current_user`;

/** Finds the sessions that hold a lock that the sequencer needs. */
export function findLogLockHolders(through: Queryable): Promise<LockHolder[]> {
  return findLockHolders(through, `(${SEQUENCER_TABLE_LOCKS}) OR (${SHARED_TABLE_LOCKS})`);
}

/** Finds the sessions that hold a lock that is needed to make a partition. */
export function findPartitionLockHolders(through: Queryable): Promise<LockHolder[]> {
  return findLockHolders(through, PARTITION_LOCKS);
}

/** A prepared transaction has no session. Like every transaction it locks its own number, and is found by that lock. */
function findLockHolders(through: Queryable, condition: string): Promise<LockHolder[]> {
  return through.query<LockHolder[]>(
    `SELECT DISTINCT lock.pid, coalesce(datname, prepared.database) AS database, coalesce(usename, owner) AS role,
            application_name AS application, gid AS prepared, lock.relation::regclass::text AS table, lock.mode
       FROM pg_locks AS lock
       LEFT JOIN pg_stat_activity AS session ON session.pid = lock.pid
       LEFT JOIN pg_locks AS number ON lock.pid IS NULL AND number.pid IS NULL AND number.granted
         AND number.locktype = 'transactionid' AND number.virtualtransaction = lock.virtualtransaction
       LEFT JOIN pg_prepared_xacts AS prepared ON prepared.transaction = number.transactionid
      WHERE lock.granted AND lock.locktype = 'relation' AND lock.pid IS DISTINCT FROM pg_backend_pid()
        AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (${condition})
      ORDER BY lock.pid LIMIT 20`,
  );
}
