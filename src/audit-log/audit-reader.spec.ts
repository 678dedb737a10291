import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { systemClock } from '../config/clock.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { UserSeals } from '../audit/user-seals.js';
import { AuditReader } from './audit-reader.js';
import { LogRepository } from './log.repository.js';

let database: TestDataSource;
let reader: AuditReader;
beforeAll(async () => {
  database = await openTestDataSource();
  const { dataSource } = database;
  const events = dataSource.getRepository(AuditEventEntity);
  const { service, refusals } = new FakeAudit();
  const users = new UserSeals(makeSeals(), refusals);
  reader = new AuditReader(events, service, new LogRepository(dataSource), TEST_KEYS, systemClock, users);
});
afterAll(() => database.close());

describe('a list for a caller of many relying parties', () => {
  it('uses at most two connections to the database at a time', async () => {
    const { master: pool } = database.dataSource.driver as unknown as { master: pg.Pool };
    let most = 0;
    pool.on('acquire', () => {
      most = Math.max(most, pool.totalCount - pool.idleCount + pool.waitingCount);
    });
    const parties = Array.from({ length: 50 }, (_, party) => `party-${String(party)}.example`);
    expect(await reader.list(makeAuthorizedContext({}, parties), { limit: 50 })).toEqual({
      data: [],
      nextCursor: null,
    });
    expect(most).toBeLessThanOrEqual(2);
  });
});
