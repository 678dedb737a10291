import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../database/data-source.js';
import { AuditCheckpointEntity } from '../audit-checkpoint.entity.js';
import { ArchiveError } from './archive-error.js';

/**
 * Connects as the role that owns the log, and keeps every other archiving out meanwhile.
 *
 * @throws ArchiveError
 */
export async function withArchiveSession<T>(url: string, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  const dataSource = await new DataSource({
    ...dataSourceOptions(url),
    entities: [AuditCheckpointEntity],
    extra: { connectionTimeoutMillis: 10_000, statement_timeout: 0, lock_timeout: 10_000 },
  }).initialize();
  try {
    const turn = dataSource.createQueryRunner();
    const [session] = (await turn.query(
      `SELECT pg_has_role(current_user, relowner, 'USAGE') AS owner, current_user AS role,
              pg_try_advisory_lock(hashtextextended('passkey-manager archive', 0)) AS turn
         FROM pg_class WHERE oid = 'public.audit_event'::regclass`,
    )) as { owner: boolean; role: string; turn: boolean }[];
    if (!session?.owner)
      throw new ArchiveError(`${session?.role ?? '?'} does not own audit_event: connect as the migrator`);
    if (!session.turn) throw new ArchiveError('the log is being archived already, by another session');
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
