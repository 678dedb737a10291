import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, type QueryRunner } from 'typeorm';
import { createCommandOptions } from '../../src/database/data-source.js';
import { AuditCheckpointEntity } from '../../src/audit-log/log.entities.js';
import { ArchiveError } from './closed-partitions.js';

/** A session that was just closed may take a moment to end. */
const ATTEMPTS = 10;
const PAUSE_MS = 100;
/** SQLSTATE lock_not_available */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Runs work in a session of the role that owns the log, and excludes other archiving sessions meanwhile.
 *
 * @throws ArchiveError
 */
export async function runInArchiveSession<T>(
  url: string,
  work: (dataSource: DataSource) => Promise<T>,
  passwordFile?: string,
): Promise<T> {
  const dataSource = await new DataSource({
    ...createCommandOptions(url, passwordFile),
    entities: [AuditCheckpointEntity],
  }).initialize();
  try {
    const turn = dataSource.createQueryRunner();
    let session = await claimSession(turn);
    for (let attempt = 1; session?.owner && !session.turn && attempt < ATTEMPTS; attempt += 1) {
      await sleep(PAUSE_MS);
      session = await claimSession(turn);
    }
    if (!session?.owner)
      throw new ArchiveError(`${session?.role ?? '?'} does not own audit_event: connect as the migrator`);
    if (!session.turn) throw new ArchiveError('another session is archiving the log');
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

interface Session {
  readonly owner: boolean;
  readonly role: string;
  readonly turn: boolean;
}

/**
 * Checks the role and takes the turn. The turn is a lock that only the owner may take. It blocks no reader or writer,
 * and lasts until the session ends.
 */
async function claimSession(session: QueryRunner): Promise<Session | undefined> {
  const [taken] = (await session.query(
    `SELECT pg_has_role(current_user, relowner, 'USAGE') AS owner, current_user AS role
       FROM pg_class WHERE oid = 'public.audit_event'::regclass`,
  )) as Omit<Session, 'turn'>[];
  return taken && { ...taken, turn: taken.owner && (await lockArchive(session)) };
}

async function lockArchive(session: QueryRunner): Promise<boolean> {
  await session.startTransaction();
  try {
    await session.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await session.query('LOCK TABLE public.audit_archive IN SHARE UPDATE EXCLUSIVE MODE NOWAIT');
    return true;
  } catch (error) {
    await session.rollbackTransaction();
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}
