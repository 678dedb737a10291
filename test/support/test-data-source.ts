import pg from 'pg';
import { ExcludedSubjectEntity } from '../../src/signals/excluded-subject.entity.js';
import { SignalEntity } from '../../src/signals/signal.entity.js';
import { StreamEntity } from '../../src/signals/stream.entity.js';
import { DataSource } from 'typeorm';
import { ApprovalEntity } from '../../src/approvals/approval.entity.js';
import {
  AuditArchiveEntity,
  AuditCheckpointEntity,
  AuditLeafEntity,
  AuditNodeEntity,
} from '../../src/audit-log/log.entities.js';
import { AuditEventEntity } from '../../src/audit/audit-event.entity.js';
import { UserHandleEntity } from '../../src/challenges/user-handle.entity.js';
import { CredentialEntity } from '../../src/credentials/credential.entity.js';
import { createDataSourceOptions } from '../../src/database/data-source.js';
import { RelyingPartyEntity } from '../../src/relying-parties/relying-party.entity.js';
import { createTestDatabase } from './database.js';

export const ENTITIES = [
  ApprovalEntity,
  AuditArchiveEntity,
  AuditCheckpointEntity,
  AuditEventEntity,
  AuditLeafEntity,
  AuditNodeEntity,
  CredentialEntity,
  ExcludedSubjectEntity,
  RelyingPartyEntity,
  SignalEntity,
  StreamEntity,
  UserHandleEntity,
];

export interface TestDataSource {
  /** A data source of the service's own role. */
  readonly url: string;
  readonly ownerUrl: string;
  readonly auditorUrl: string;
  readonly dataSource: DataSource;
  /** Runs SQL as a role that may do everything, bypassing the service. */
  sql<Row extends object>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Opens the service's pool, with its role, on a new database. */
export async function openTestDataSource(): Promise<TestDataSource> {
  const database = await createTestDatabase();
  const dataSource = await new DataSource({
    ...createDataSourceOptions(database.url),
    entities: ENTITIES,
  }).initialize();
  const owner = new pg.Pool({ connectionString: database.ownerUrl, max: 1 }).on('error', () => undefined);
  const sql = async <Row extends object>(text: string, values?: unknown[]): Promise<Row[]> =>
    (await owner.query<Row>(text, values)).rows;
  const close = async (): Promise<void> => {
    await Promise.all([dataSource.destroy(), owner.end()]);
    await database.drop();
  };
  const { url, ownerUrl, auditorUrl } = database;
  return { url, ownerUrl, auditorUrl, dataSource, sql, close };
}
