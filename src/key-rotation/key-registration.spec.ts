import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeSealKeys, makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { SealRegister } from '../seals/seal-register.js';
import { Seals } from '../seals/seals.js';
import { Metrics } from '../telemetry/metrics.js';
import { KeyRegistration } from './key-registration.js';

let ticks = Date.UTC(2026, 5, 30);
/** Moves on at each look, so that events have an order. */
const clock = { now: () => new Date((ticks += 1)) };

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(() => database.sql('TRUNCATE seal_key, audit_event, audit_pending'));
afterAll(() => database.close());

/** Starts a replica whose file has these keys, in this order. */
async function start(...fills: [number, ...number[]]): Promise<void> {
  const keys = makeSealKeys(...fills);
  const register = await SealRegister.read(database.dataSource, clock, keys, new Metrics());
  const audit = new AuditService(database.dataSource, clock, new Metrics(), TEST_KEYS, makeSeals());
  await new KeyRegistration(
    database.dataSource,
    keys,
    clock,
    register,
    new Seals(keys, register),
    audit,
  ).onApplicationBootstrap();
}
async function listEvents(): Promise<[string, unknown][]> {
  const events = await database.dataSource.getRepository(AuditEventEntity).find({ order: { id: 'ASC' } });
  return events.map(({ type, event }) => [type, (JSON.parse(event) as { unmapped: unknown }).unmapped]);
}
const [ONE, TWO] = makeSealKeys(1, 2).seals.map(({ id }) => id) as [string, string];

describe('the first start', () => {
  it('records each key, and no rotation', async () => {
    await start(1, 2);
    expect(await listEvents()).toEqual([
      ['seal-key.add', { seal_key: ONE }],
      ['seal-key.add', { seal_key: TWO }],
    ]);
    expect(await database.sql('SELECT id, first_at IS NOT NULL AS first FROM seal_key ORDER BY first DESC')).toEqual([
      { id: ONE, first: true },
      { id: TWO, first: false },
    ]);
  });

  it('is once, however many replicas start together', async () => {
    await Promise.all([start(1), start(1), start(1)]);
    expect(await listEvents()).toHaveLength(1);
  });
});

describe('a rotation', () => {
  it('records the new key once, and once that it seals, however many replicas start with the file', async () => {
    await start(1);
    await start(1, 2);
    await start(1, 2);
    await start(2, 1);
    await Promise.all([start(2, 1), start(2, 1)]);
    expect(await listEvents()).toEqual([
      ['seal-key.add', { seal_key: ONE }],
      ['seal-key.add', { seal_key: TWO }],
      ['seal-key.rotate', { seal_key: TWO, former_seal_key: ONE }],
    ]);
  });

  it('back to a key that was in use before is one, too, and so is a start with the former file', async () => {
    await start(1, 2);
    for (const [first, second] of [
      [2, 1],
      [1, 2],
      [1, 2],
      [2, 1],
    ] as const)
      await start(first, second);
    expect((await listEvents()).slice(2)).toEqual([
      ['seal-key.rotate', { seal_key: TWO, former_seal_key: ONE }],
      ['seal-key.rotate', { seal_key: ONE, former_seal_key: TWO }],
      ['seal-key.rotate', { seal_key: TWO, former_seal_key: ONE }],
    ]);
  });

  it.each(['infinity', '2100-01-01', '-infinity'])(
    'is recorded once whatever time SQL or another clock gave the former key: %s',
    async (time) => {
      await start(1);
      await database.sql('UPDATE seal_key SET first_at = $1::timestamptz', [time]);
      for (let replica = 0; replica < 2; replica += 1) await start(2, 1);
      for (let replica = 0; replica < 2; replica += 1) await start(1, 2);
      expect(
        (await listEvents()).slice(2).map(([type, facts]) => [type, (facts as { seal_key: string }).seal_key]),
      ).toEqual([
        ['seal-key.rotate', TWO],
        ['seal-key.rotate', ONE],
      ]);
    },
  );

  it('is none when a key that is retired stands first in the file: the next one seals', async () => {
    await start(1);
    await start(2, 1);
    await database.sql('UPDATE seal_key SET retired_at = $2 WHERE id = $1', [ONE, clock.now()]);
    await start(1, 2);
    expect(await listEvents()).toHaveLength(3);
  });

  it('does not let a replica start without a key that may have sealed rows', async () => {
    await start(1, 2);
    await expect(start(2)).rejects.toThrow(`PASSKEY_BINDING_KEY_FILE lacks the key ${ONE}`);
    expect(await listEvents()).toHaveLength(2);
  });

  it('ends when the old key is retired: a replica starts with its line and without', async () => {
    await start(1);
    await start(2, 1);
    await database.sql('UPDATE seal_key SET retired_at = $2 WHERE id = $1', [ONE, clock.now()]);
    await start(2, 1);
    await start(2);
    expect(await listEvents()).toHaveLength(3);
  });
});
