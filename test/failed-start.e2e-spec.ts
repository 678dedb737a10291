import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, afterEach, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

let service: TestService;
let database: TestDatabase;
let session: pg.Client;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());
beforeEach(async () => {
  database = await createTestDatabase();
  session = new pg.Client({ connectionString: database.ownerUrl });
  await session.connect();
});
afterEach(async () => {
  await session.end();
  await database.drop();
});

/** A pool that nobody closes lets its connections go after this time. */
const IDLE_MS = 10_000;
/** The sessions of the service's roles, because Citus has sessions of its own. */
const SESSIONS = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user`;

it.each<[string, () => NodeJS.ProcessEnv, string]>([
  [
    'a login that the log cannot use',
    () => ({ PASSKEY_AUDIT_DATABASE_URL: lockedOut() }),
    'PASSKEY_AUDIT_DATABASE_URL',
  ],
  ['a binding key that is none', () => ({ PASSKEY_BINDING_KEY_FILE: noFile() }), 'PASSKEY_BINDING_KEY_FILE'],
  ['metadata that are none', () => ({ PASSKEY_MDS_BLOB_FILE: noFile() }), 'PASSKEY_MDS_BLOB_FILE'],
  ['a port in use', () => ({ PASSKEY_HTTPS_PORT: new URL(service.running.httpsUrl).port }), 'is in use'],
])('a start that ends with %s closes all its connections', async (_, env, told) => {
  await writeFile(noFile(), 'x', { mode: 0o600 });
  await expect(service.startReplica(database.url, env())).rejects.toThrow(told);
  const begun = performance.now();
  await until(async () => (await session.query(SESSIONS)).rowCount === 0);
  expect(performance.now() - begun).toBeLessThan(IDLE_MS / 2);
});

function lockedOut(): string {
  return Object.assign(new URL(database.sequencerUrl), { password: 'wrong' }).href;
}

function noFile(): string {
  return join(service.dataDir, 'none');
}
