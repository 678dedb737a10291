import type { EntityManager } from 'typeorm';
import type { Queryable } from '../database/named-statement.js';

/** A turn as the sequencer of the log. It ends with its transaction. */
export interface LogTurn {
  /** When the turn began, every transaction below this number was committed or rolled back. */
  readonly xmin: string;
}

/**
 * The lock by which replicas of the previous version take turns. Any role may take it, so it counts only if the
 * service's role holds it.
 */
const FORMER_LOCK = `hashtextextended('passkey-manager sequencer', 0)`;

/**
 * Takes the turn by locking the row of `audit_turn`, which only the service may lock.
 *
 * @param wait true to wait while another replica has the turn
 * @param onlyIf SQL condition under which a turn is worth a transaction number
 * @returns undefined if another replica has the turn, or the condition is not met
 */
export async function takeTurn(manager: EntityManager, wait: boolean, onlyIf: string): Promise<LogTurn | undefined> {
  const [turn] = await manager.query<LogTurn[]>(
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin FROM audit_turn
      WHERE ${onlyIf} FOR UPDATE ${wait ? '' : 'SKIP LOCKED'}`,
  );
  return turn && (await isFormerLockFree(manager)) ? turn : undefined;
}

async function isFormerLockFree(manager: EntityManager): Promise<boolean> {
  const [lock] = await manager.query<{ free: boolean }[]>(`SELECT pg_try_advisory_xact_lock(${FORMER_LOCK}) AS free`);
  if (lock?.free) return true;
  const [row] = await manager.query<{ free: boolean }[]>(
    `SELECT NOT EXISTS (
       SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND (classid::bigint << 32 | objid::bigint) = ${FORMER_LOCK}
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND usename = current_user) AS free`,
  );
  return row?.free === true;
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
