import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { type AuditService } from '../../audit/audit.service.js';
import { systemClock } from '../../config/clock.js';
import { createProbePool } from '../../database/data-source.js';
import { Metrics } from '../../telemetry/metrics.js';
import { DatabaseProbe } from './database-probe.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Makes no row, as when the key that seals it is away. */
class AuditWithoutKey implements Pick<AuditService, 'createRow'> {
  createRow(): never {
    throw new Error('the key is away');
  }
}

it('a record that cannot be made is the finding, and the probe keeps no session', async () => {
  const pool = createProbePool(database.url);
  const probe = new DatabaseProbe(pool, new AuditWithoutKey() as never, systemClock, new Metrics());
  expect(await probe.run()).toMatchObject({
    database: undefined,
    audit: 'no record can be written: the key is away',
  });
  expect(pool.totalCount).toBe(0);
  await probe.onApplicationShutdown();
});
