import type { EntityManager } from 'typeorm';

/** A turn at putting the log in order, which ends with its transaction. */
export interface LogTurn {
  /** When the turn began, every transaction below this number was committed or undone. */
  readonly xmin: string;
}

/** The lock by which replicas of the version before take turns. Anybody may take it, so it counts if the service's role has it. */
const FORMER = `hashtextextended('passkey-manager sequencer', 0)`;

/**
 * The turn is the row of `audit_turn`, which only the service may lock.
 *
 * @param wait waits for another replica that has it
 * @param onlyIf SQL, when a turn is worth its transaction number
 * @returns undefined: another replica has it, or it is not worth it
 */
export async function takeTurn(manager: EntityManager, wait: boolean, onlyIf: string): Promise<LogTurn | undefined> {
  const [turn] = await manager.query<LogTurn[]>(
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin FROM audit_turn
      WHERE ${onlyIf} FOR UPDATE ${wait ? '' : 'SKIP LOCKED'}`,
  );
  return turn && (await isFormerlyFree(manager)) ? turn : undefined;
}

async function isFormerlyFree(manager: EntityManager): Promise<boolean> {
  const [lock] = await manager.query<{ free: boolean }[]>(`SELECT pg_try_advisory_xact_lock(${FORMER}) AS free`);
  if (lock?.free) return true;
  const [row] = await manager.query<{ free: boolean }[]>(
    `SELECT NOT EXISTS (
       SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND (classid::bigint << 32 | objid::bigint) = ${FORMER}
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND usename = current_user) AS free`,
  );
  return row?.free === true;
}
