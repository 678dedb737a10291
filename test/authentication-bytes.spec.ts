import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../dev/embedded-postgres/embedded-postgres.js';
import { createCeremonyPool, createDataSourceOptions } from '../src/database/data-source.js';
import { migrate } from '../src/database/schema.js';
import { adaptPool } from '../src/database/named-statement.js';
import { runRoleScript } from '../src/database/role-scripts.js';
import { type AuthenticationBytes, measureAuthentications, sumBytes } from './support/authentication-bytes.js';
import { FakeClock } from './support/fake-clock.js';
import { TEST_KEYS } from './support/secret-keys.js';
import { LogReplica } from './support/stored-log.js';
import { ENTITIES } from './support/test-data-source.js';

const COUNT = 5_120;

/** A server of its own, because the WAL is that of the whole server. */
let postgres: EmbeddedPostgres;
let directory: string;
let bytes: AuthenticationBytes;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-bytes-'));
  postgres = await startEmbeddedPostgres({ directory, durable: false });
  await migrate(postgres.migratorUrl);
  await runRoleScript('grants.sql', postgres.migratorUrl);
  const owner = new pg.Client({ connectionString: postgres.migratorUrl });
  await owner.connect();
  const dataSource = await new DataSource({
    ...createDataSourceOptions(postgres.url),
    entities: ENTITIES,
  }).initialize();
  const pool = createCeremonyPool(postgres.url);
  const { sequencer } = new LogReplica(dataSource, new FakeClock());
  const sequence = (): Promise<unknown> => sequencer.sequence(true);
  bytes = await measureAuthentications(
    { owner, dataSource, through: adaptPool(pool), keys: TEST_KEYS, sequence },
    COUNT,
  );
  await Promise.all([owner.end(), dataSource.destroy(), pool.end()]);
});
afterAll(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

const sumOf = (pattern: RegExp): number =>
  sumBytes(Object.fromEntries(Object.entries(bytes.disk).filter(([name]) => pattern.test(name))));

describe('an authentication under load', () => {
  it.each([
    ['its event', /^audit_event$/, 2_060],
    ['the index entries of its event', /^audit_event_/, 350],
    ['its leaf and the hashes and checkpoints over it, with indexes', /^audit_(leaf|node|checkpoint)/, 215],
    ['its spent challenge, until the next day', /^spent_challenge/, 90],
    ['a pending event, until the next vacuum', /^audit_pending$/, 110],
    ['the rows that it changes', /^(credential|user_handle)/, 5],
  ])('leaves on the disk no more than its budget for %s', (_, tables, most) => {
    expect(sumOf(tables)).toBeLessThan(most);
  });

  it('leaves nothing else on the disk', () => {
    expect(
      Object.keys(bytes.disk).filter((name) => !/^(audit_|spent_challenge|credential|user_handle)/.test(name)),
    ).toEqual([]);
  });

  it('writes at most 3,600 bytes to the WAL', () => {
    expect(sumBytes(bytes.wal)).toBeLessThan(3_600);
  });
});
