import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeSealKeys } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { Metrics } from '../telemetry/metrics.js';
import { computeCheckValue, computeFormerCheckValue } from './check-value.js';
import { SealRegister } from './seal-register.js';

Logger.overrideLogger(false);

const NOW = new Date('2026-06-30T12:00:00.000Z');
const KEYS = makeSealKeys(2, 1);

let database: TestDataSource;
let now: Date;
const clock = { now: () => now };
const metrics = new Metrics();
const readMetric = async (): Promise<number> => (await metrics.oldSealsAccepted.get()).values[0]!.value;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  now = NOW;
  await database.sql('TRUNCATE seal_key, seal_phase, key_check_value');
});
afterAll(() => database.close());

const read = (keys = KEYS): Promise<SealRegister> => SealRegister.read(database.dataSource, clock, keys, metrics);
const store = async (keys: typeof KEYS, retiredAt: Date | null = null): Promise<void> => {
  for (const key of keys.seals) {
    await database.sql('INSERT INTO seal_key VALUES ($1, $2, $3, $3, $4)', [
      ...[key.id, computeCheckValue(key), NOW, retiredAt],
    ]);
  }
};

describe('a start', () => {
  it('accepts a set with every key that the database names, in any order, and with more', async () => {
    await read();
    await store(makeSealKeys(1));
    await read();
    await read(makeSealKeys(1, 2, 3));
  });

  it('ends with a sentence that names the key that is missing', async () => {
    await store(KEYS);
    await expect(read(makeSealKeys(2))).rejects.toThrow(
      `PASSKEY_BINDING_KEY_FILE lacks the key ${KEYS.seals[1]!.id}, which has sealed rows of this database`,
    );
  });

  it('ends when a key has the id of the one in the database and is another', async () => {
    await store(KEYS);
    await database.sql(`UPDATE seal_key SET check_value = '\\x00' WHERE id = $1`, [KEYS.seals[0].id]);
    await expect(read()).rejects.toThrow(`the key ${KEYS.seals[0].id} of PASSKEY_BINDING_KEY_FILE does not fit`);
  });

  it('does not need a key that was added and has sealed nothing', async () => {
    await store(KEYS);
    await database.sql('UPDATE seal_key SET first_at = NULL WHERE id = $1', [KEYS.seals[1]!.id]);
    await read(makeSealKeys(2));
  });

  it('does not need a key that is retired', async () => {
    await store(makeSealKeys(1), NOW);
    await read(makeSealKeys(2));
    expect((await read()).isRetired(KEYS.seals[1]!.id)).toBe(true);
  });

  it('ends with another key than the version before had', async () => {
    const value = computeFormerCheckValue(makeSealKeys(1).seals[0]);
    await database.sql(`INSERT INTO key_check_value (purpose, value) VALUES ('binding', $1)`, [value]);
    await read();
    await expect(read(makeSealKeys(2))).rejects.toThrow('holds another key than the one that sealed this database');
  });
});

describe('a key with which another replica seals', () => {
  it('is missing until this process has it, or until it is retired', async () => {
    await store(makeSealKeys(1));
    const register = await read(makeSealKeys(1));
    await store(makeSealKeys(2));
    expect(register.missingKey).toBeUndefined();
    await register.refresh();
    expect(register.missingKey).toBe(KEYS.seals[0].id);
    await database.sql('UPDATE seal_key SET retired_at = $1 WHERE id = $2', [NOW, KEYS.seals[0].id]);
    await register.refresh();
    expect(register.missingKey).toBeUndefined();
  });
});

describe('the seals of the version before', () => {
  it.each(['infinity', '-infinity', '2000-01-01', '290000-01-01'])(
    'end whatever time SQL gives their end: %s',
    async (time) => {
      await database.sql(`INSERT INTO seal_phase VALUES ('new', $1), ('only-new', $2::timestamptz)`, [NOW, time]);
      expect((await read()).areOldAccepted).toBe(false);
    },
  );

  it.each(['infinity', '290000-01-01'])(
    'are not made when SQL gives the new ones a time that is none: %s',
    async (time) => {
      await database.sql(`INSERT INTO seal_phase VALUES ('new', $1::timestamptz)`, [time]);
      expect((await read()).areSealsNew).toBe(true);
    },
  );

  it('are not made when nobody says when the new ones begin', async () => {
    expect((await read()).areSealsNew).toBe(true);
  });

  it('are made until the new ones begin, and accepted until the service ends them', async () => {
    await database.sql(`INSERT INTO seal_phase VALUES ('new', $1)`, [new Date(NOW.getTime() + 1_000)]);
    const register = await read();
    expect([register.areSealsNew, register.areOldAccepted]).toEqual([false, true]);
    now = new Date(NOW.getTime() + 1_000);
    expect([register.areSealsNew, register.areOldAccepted]).toEqual([true, true]);
    expect(await readMetric()).toBe(1);
    expect(await register.endOld(database.dataSource)).toBe(true);
    expect(await readMetric()).toBe(1);
    await register.refresh();
    expect([register.areSealsNew, register.areOldAccepted]).toEqual([true, false]);
    expect(await readMetric()).toBe(0);
  });

  it('end in every process, and do not come back', async () => {
    await database.sql(`INSERT INTO seal_phase VALUES ('new', $1)`, [NOW]);
    const [one, two] = [await read(), await read()];
    const ended = await Promise.all([one, two].map((register) => register.endOld(database.dataSource)));
    expect(ended.sort()).toEqual([false, true]);
    await two.refresh();
    expect(two.areOldAccepted).toBe(false);
    expect(await database.sql('SELECT phase FROM seal_phase ORDER BY phase')).toEqual([
      { phase: 'new' },
      { phase: 'only-new' },
    ]);
  });

  it('never existed in a new database', async () => {
    const fresh = await openTestDataSource();
    try {
      const register = await SealRegister.read(fresh.dataSource, { now: () => new Date() }, KEYS, metrics);
      expect([register.areSealsNew, register.areOldAccepted]).toEqual([true, false]);
    } finally {
      await fresh.close();
    }
  });
});

it('a key that is retired while the service runs counts no longer after the next look', async () => {
  await store(KEYS);
  const register = await read();
  await database.sql('UPDATE seal_key SET retired_at = $1 WHERE id = $2', [NOW, KEYS.seals[1]!.id]);
  expect(register.isRetired(KEYS.seals[1]!.id)).toBe(false);
  await register.refresh();
  expect([register.isRetired(KEYS.seals[1]!.id), register.isRetired(KEYS.seals[0].id)]).toEqual([true, false]);
});
