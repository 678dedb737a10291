import type { EntityManager } from 'typeorm';

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
 * @returns undefined if another replica has the turn, or the condition does not hold
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
