import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { DecoyShapes } from './decoy-shapes.js';
import { UserHandleRepository } from './user-handle.repository.js';

const RP = 'a.example';
const MINUTE = 60_000;

let database: TestDataSource;
let now: number;
let shapes: DecoyShapes;
let queries: number;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  await database.sql('TRUNCATE credential, user_handle');
  [now, queries] = [Date.now(), 0];
  const query = (...given: [string, unknown[]]): Promise<never> => {
    queries += 1;
    return database.dataSource.query(...given);
  };
  shapes = new DecoyShapes(new UserHandleRepository({ query: query as never }), { now: () => new Date(now) });
});
afterAll(() => database.close());

interface Kind {
  bytes?: number;
  transports?: string[];
  status?: string;
  backupEligible?: boolean;
  trusted?: boolean;
}

/** Stores users who each have passkeys of these kinds, the last one used last. */
async function insertUsers(count: number, kinds: Kind[], { rpId = RP, prefix = 'u' } = {}): Promise<void> {
  await database.sql(
    `INSERT INTO user_handle SELECT $1, $2 || i, sha256(($2 || i)::bytea), now() FROM generate_series(1, $3::integer) i`,
    [rpId, prefix, count],
  );
  for (const [n, kind] of kinds.entries()) {
    const { bytes = 32, transports = [], status = 'active', backupEligible = true, trusted = false } = kind;
    await database.sql(
      `INSERT INTO credential SELECT $1, gen_random_uuid(), $2 || i, substr(repeat(gen_random_uuid()::text, 30)::bytea, 1, $3::integer),
         '', -7, gen_random_uuid(), 'n', $4, NULL, now(), NULL, $5, TRUE, $8, TRUE, TRUE, 'packed', $9, 0,
         now() + $6 * interval '1 minute', 'x', NULL, '' FROM generate_series(1, $7::integer) i`,
      [rpId, prefix, bytes, status, transports, n, count, backupEligible, trusted ? 'trusted' : 'none'],
    );
  }
}

const readShapes = async (rpId = RP) => (await shapes.getShapes(rpId)).map(({ list, users }) => ({ list, users }));
const [eligible, bound] = [
  { backupEligible: true, trusted: false },
  { backupEligible: false, trusted: true },
];
const phone = { bytes: 32, transports: ['hybrid', 'internal'], ...eligible };
const fob = { bytes: 48, transports: ['nfc', 'usb'], ...bound };

describe('the shapes of a relying party’s lists', () => {
  it('are those of its users’ active passkeys, the last used first, with sorted transports', async () => {
    await insertUsers(3, [{ bytes: 32, transports: ['internal', 'hybrid'] }], { prefix: 'a' });
    await insertUsers(
      2,
      [phone, { bytes: 16, status: 'revoked' }, { bytes: 48, transports: ['usb', 'nfc'], ...bound }],
      {
        prefix: 'b',
      },
    );
    await insertUsers(1, [{ status: 'suspended' }], { prefix: 'c' });
    await insertUsers(9, [{ bytes: 20 }], { rpId: 'b.example' });
    expect(await readShapes()).toEqual([
      { list: [phone], users: 3 },
      { list: [fob, phone], users: 2 },
    ]);
  });

  it('are empty when no user has a passkey', async () => {
    await insertUsers(2, []);
    expect(await readShapes()).toEqual([]);
  });

  it('are read again after ten minutes, and no request waits for that', async () => {
    await insertUsers(1, [phone]);
    expect(await readShapes()).toEqual([{ list: [phone], users: 1 }]);
    await insertUsers(1, [phone], { prefix: 'b' });
    now += 10 * MINUTE - 1;
    expect(await readShapes()).toEqual([{ list: [phone], users: 1 }]);
    now += 1;
    expect(await readShapes()).toEqual([{ list: [phone], users: 1 }]);
    while ((await readShapes())[0]?.users === 1) await new Promise(setImmediate);
    expect(await readShapes()).toEqual([{ list: [phone], users: 2 }]);
    expect(queries).toBe(2);
  });

  it('are read once for all requests at the same time', async () => {
    await insertUsers(1, [phone]);
    await Promise.all(Array.from({ length: 20 }, () => readShapes()));
    expect(queries).toBe(1);
  });

  it('are those of a thousand users where there are more', async () => {
    await insertUsers(1_500, [phone]);
    expect(await readShapes()).toEqual([{ list: [phone], users: 1_000 }]);
  });

  it('are the 64 most frequent ones', async () => {
    for (let bytes = 100; bytes < 170; bytes += 1) await insertUsers(1, [{ bytes }], { prefix: `k${String(bytes)}-` });
    await insertUsers(2, [phone]);
    const known = await readShapes();
    expect(known).toHaveLength(64);
    expect(known[0]).toEqual({ list: [phone], users: 2 });
  });
});
