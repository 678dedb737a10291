import { DataSource } from 'typeorm';
import { AuditEventEntity } from '../../src/audit/audit-event.entity.js';
import { ChallengeEntity } from '../../src/challenges/challenge.entity.js';
import { UserHandleEntity } from '../../src/challenges/user-handle.entity.js';
import { CredentialEntity } from '../../src/credentials/credential.entity.js';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { RelyingPartyEntity } from '../../src/relying-parties/relying-party.entity.js';
import { createTestDatabase } from './database.js';

export const ENTITIES = [AuditEventEntity, ChallengeEntity, CredentialEntity, RelyingPartyEntity, UserHandleEntity];

export interface TestDataSource {
  readonly dataSource: DataSource;
  close(): Promise<void>;
}

/** The service's pool over a database of its own. */
export async function openTestDataSource(): Promise<TestDataSource> {
  const database = await createTestDatabase();
  const dataSource = await new DataSource({ ...dataSourceOptions(database.url), entities: ENTITIES }).initialize();
  const close = async (): Promise<void> => {
    await dataSource.destroy();
    await database.drop();
  };
  return { dataSource, close };
}
