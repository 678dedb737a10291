import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { FakeClock } from '../../test/support/fake-clock.js';
import { ReadRows } from '../../test/support/read-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { CeremonyCountsRepository, HOUR_MS, LEAVES } from './ceremony-counts.repository.js';
import { CredentialCountsRepository, PASSKEYS } from './credential-counts.repository.js';

const NOW = new Date('2026-06-30T12:30:00.000Z');
const HOUR = Math.floor(NOW.getTime() / HOUR_MS);

let database: TestDataSource;
let ceremonies: CeremonyCountsRepository;
let credentials: CredentialCountsRepository;
beforeEach(async () => {
  database = await openTestDataSource();
  ceremonies = new CeremonyCountsRepository(database.dataSource);
  credentials = new CredentialCountsRepository(database.dataSource);
});
afterEach(() => database.close());

/** SQL: the id of an event of a time in milliseconds, with a number that makes it unique. */
const idSql = (time: string, number: string): string =>
  `(lpad(to_hex(${time}), 12, '0') || '7' || lpad(to_hex(${number}), 19, '0'))::uuid`;

/** Adds `count` sequenced events, of which every third is a refusal, one a second from a time on. */
const addEvents = (count: number, from: Date, rpId = 'rp', type = 'credential.verify'): Promise<unknown> =>
  database.sql(
    `WITH made AS (
       SELECT ${idSql(`${String(from.getTime())} + i * 1000`, 'first + i')} AS id, first + i AS leaf, i
         FROM generate_series(0, ${String(count)} - 1) AS i, (SELECT coalesce(max(leaf_index) + 1, 0) AS first FROM audit_leaf) AS log),
     events AS (
       INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id)
       SELECT id, CASE WHEN i % 3 = 0 THEN '{"status_code":"signature-invalid"}' ELSE '{}' END, '', $2,
              CASE WHEN i % 3 = 0 THEN 'failure' ELSE 'success' END, $1 FROM made)
     INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash) SELECT leaf, id, sha256(id::text::bytea) FROM made`,
    [rpId, type],
  );
const addEvent = (text: string, members: { type?: string; rpId?: string | null; outcome?: string } = {}) =>
  database.sql(
    `WITH made AS (SELECT ${idSql(String(NOW.getTime()), '1000000 + first')} AS id, first FROM (SELECT coalesce(max(leaf_index) + 1, 0) AS first FROM audit_leaf) AS log),
     events AS (INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id) SELECT id, $1, '', $2, $3, $4 FROM made)
     INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash) SELECT first, id, sha256(id::text::bytea) FROM made`,
    [
      text,
      members.type ?? 'credential.verify',
      members.outcome ?? 'failure',
      members.rpId === undefined ? 'rp' : members.rpId,
    ],
  );

async function countAll(repository = ceremonies, now = NOW): Promise<void> {
  while ((await repository.count(now)) === 'more');
}
const readAll = () =>
  database.sql<{ rp_id: string; hour: number; ceremony: string; kind: string; reason: string; count: number }>(
    'SELECT * FROM statistic_ceremony ORDER BY rp_id, hour, ceremony, kind, reason',
  );
const naive = () =>
  database.sql(
    `SELECT rp_id, floor(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 3600000.0)::integer AS hour, 'authentication' AS ceremony,
            outcome AS kind, CASE outcome WHEN 'failure' THEN 'signature-invalid' ELSE '' END AS reason, count(*) AS count
       FROM audit_event WHERE type = 'credential.verify' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
  );

describe('the counts of ceremonies', () => {
  it('have each leaf once, if several replicas count at once and the log grows meanwhile', async () => {
    await addEvents(LEAVES + 700, new Date(NOW.getTime() - 2 * HOUR_MS));
    const other = await new DataSource(database.dataSource.options).initialize();
    const replicas = [ceremonies, new CeremonyCountsRepository(other), ceremonies, new CeremonyCountsRepository(other)];
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([addEvents(900, NOW, `rp-${String(round)}`), ...replicas.map((each) => countAll(each))]);
    }
    await countAll();
    expect(await readAll()).toEqual(await naive());
    expect((await readAll()).reduce((sum, { count }) => sum + count, 0)).toBe(LEAVES + 700 + 5 * 900);
    await other.destroy();
  });

  it('are as before if the statement that counts is undone, and then have all', async () => {
    await addEvents(10, NOW);
    await database.sql(`ALTER TABLE statistic_log ADD CONSTRAINT stop CHECK (next_leaf IS NULL OR next_leaf <> 10)`);
    await expect(countAll()).rejects.toThrow('stop');
    expect(await readAll()).toEqual([]);
    expect(await ceremonies.readLog()).toMatchObject({ isBehind: true, countedAt: null });
    await database.sql('ALTER TABLE statistic_log DROP CONSTRAINT stop');
    await countAll();
    expect(await readAll()).toEqual(await naive());
    expect(await ceremonies.readLog()).toMatchObject({ isBehind: false, since: null });
  });

  it('begin 31 days ago in a log that was there before, and say from which hour on they are whole', async () => {
    const day = 24 * HOUR_MS;
    await addEvents(5, new Date(NOW.getTime() - 40 * day));
    await addEvents(5, new Date(NOW.getTime() - 31 * day + 5 * 60_000));
    await addEvents(7, NOW);
    await countAll();
    expect((await ceremonies.readLog()).since).toBe(HOUR - 31 * 24 + 3);
    expect((await readAll()).reduce((sum, { count }) => sum + count, 0)).toBe(12);
    expect(await ceremonies.readLog()).toMatchObject({ isBehind: false });
  });

  it('begin at the end of a log that rests for longer', async () => {
    await addEvents(5, new Date(NOW.getTime() - 40 * 24 * HOUR_MS));
    await countAll();
    await addEvents(4, NOW);
    await countAll();
    expect((await readAll()).reduce((sum, { count }) => sum + count, 0)).toBe(4);
  });

  it('leave out what is of no relying party, is no ceremony, or is archived', async () => {
    await addEvents(3, NOW, 'rp', 'credential.rename');
    await addEvent('{}', { rpId: null });
    await addEvents(3, NOW);
    await database.sql(`DELETE FROM audit_event WHERE type = 'credential.verify' AND outcome = 'failure'`);
    await countAll();
    expect(await readAll()).toMatchObject([{ kind: 'success', count: 2 }]);
  });

  it.each<[string, string, string]>([
    ['no JSON', 'altered: "status_code":"', ''],
    ['nothing', '', ''],
    ['a reason of another form', '{"status_code":"Signature Invalid"}', ''],
    ['a reason without an end', `{"status_code":"${'a'.repeat(1_000)}"}`, ''],
    ['the reason in a text of a caller, escaped', String.raw`{"detail":"\"status_code\":\"mine\""}`, ''],
    ['its reason', '{"status":"Failure","status_code":"sign-count-regressed"}', 'sign-count-regressed'],
  ])('go on past an event that somebody altered: %s', async (_, text, reason) => {
    await addEvent(text);
    await countAll();
    expect(await readAll()).toMatchObject([{ kind: 'failure', reason, count: 1 }]);
  });

  it('add up the summaries of challenges, and no number that is not one', async () => {
    const summary = { type: 'challenge.summary', outcome: 'success' };
    await addEvent('{"unmapped":{"answered":3,"ceremony":"payment","issued":7}}', summary);
    await addEvent('{"unmapped":{"answered":0,"ceremony":"payment","issued":5}}', summary);
    await addEvent('{"unmapped":{"answered":-3,"ceremony":"payment","issued":"9"}}', summary);
    await addEvent(`{"unmapped":{"answered":${'9'.repeat(30)},"issued":1}}`, summary);
    await countAll();
    expect(await readAll()).toMatchObject([
      { ceremony: 'payment', kind: 'answered', count: 3, hour: HOUR },
      { ceremony: 'payment', kind: 'begun', count: 12, hour: HOUR },
    ]);
  });

  it('forget hours that are more than 400 days old', async () => {
    await addEvents(3, NOW);
    await countAll();
    const later = (days: number): Date => new Date(NOW.getTime() + days * 24 * HOUR_MS);
    await ceremonies.purge(later(399));
    expect(await readAll()).toHaveLength(2);
    await ceremonies.purge(later(401));
    expect(await readAll()).toEqual([]);
  });
});

/** Adds passkeys of a relying party, of which half are of one model and half have a model each. */
const addPasskeys = (count: number, rpId: string): Promise<unknown> =>
  database.sql(
    `INSERT INTO credential (rp_id, id, user_id, credential_id, public_key, algorithm, aaguid, name, status, status_changed_at, transports,
         backup_eligible, backed_up, user_verified, attestation_format, attestation_trust, sign_count, created_at, created_by, binding_mac)
     SELECT $1, ${idSql('1700000000000 + i * 40', 'i + ascii($1) * 1000000')}, 'u', sha256(($1 || i)::bytea), '', -7,
            CASE i % 2 WHEN 0 THEN '${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}'::uuid ELSE md5(i::text)::uuid END, 'n',
            CASE WHEN i % 10 = 0 THEN 'revoked' ELSE 'active' END, now(), '{}', TRUE, i % 4 = 1, TRUE, 'none', 'none', 0,
            '${NOW.toISOString()}'::timestamptz - i % 100 * interval '1 day', 'x', ''
       FROM generate_series(1, ${String(count)}) AS i`,
    [rpId],
  );
const addParties = (...rpIds: string[]): Promise<unknown> =>
  database.sql(
    `INSERT INTO relying_party SELECT rp_id, 'n', '{}', TRUE, '{}', 1, now(), now() FROM unnest($1::text[]) AS rp_id`,
    [rpIds],
  );
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, each) => all + each, 0);

describe('the counts of passkeys', () => {
  it('of a relying party with few are those of the moment, and nothing is stored', async () => {
    await addParties('few');
    await addPasskeys(20, 'few');
    const { counts, computedAt } = (await credentials.read('few', NOW))!;
    expect(computedAt).toBe(NOW);
    expect(counts).toMatchObject({
      status: { active: 18, revoked: 2 },
      backup: { 'true true': 5, 'true false': 13 },
      unused: 0,
    });
    await credentials.walk(NOW);
    expect(await database.sql('SELECT FROM statistic_credential')).toEqual([]);
  });

  it('of a large one come from a walk that any replica goes on with, and have each passkey once', async () => {
    await addParties('a-large', 'few', 'z-large');
    const [large, larger] = [PASSKEYS + 300, 2 * PASSKEYS];
    await addPasskeys(large, 'a-large');
    await addPasskeys(larger, 'z-large');
    await addPasskeys(30, 'few');
    expect(await credentials.read('a-large', NOW)).toBeUndefined();
    const clock = new FakeClock();
    const other = await new DataSource(database.dataSource.options).initialize();
    const replicas = [credentials, new CredentialCountsRepository(other)];
    for (let turn = 0; (await database.sql('SELECT FROM statistic_credential')).length < 2; turn += 1) {
      expect(turn).toBeLessThan(50);
      clock.advance(60);
      await Promise.all(replicas.map((each) => each.walk(clock.now())));
    }
    for (const [rpId, count] of [
      ['a-large', large],
      ['z-large', larger],
    ] as const) {
      const { counts } = (await credentials.read(rpId, clock.now()))!;
      const [held] = await database.sql<{ held: number; unused: number; models: number }>(
        `SELECT count(*) AS held, count(*) FILTER (WHERE created_at < $2::timestamptz - interval '90 days') AS unused,
                count(DISTINCT aaguid) AS models FROM credential WHERE rp_id = $1 AND status <> 'revoked'`,
        [rpId, clock.now()],
      );
      expect(sum(counts.status)).toBe(count);
      for (const dimension of [counts.algorithms, counts.backup, counts.trust]) expect(sum(dimension)).toBe(held!.held);
      expect(counts.unused).toBe(held!.unused);
      // An AAGUID is a claim: clients make up any number of models, and the counts stay small.
      expect(held!.models).toBeGreaterThan(1_000);
      expect(Object.keys(counts.models)).toHaveLength(1_000);
      expect(sum(counts.models) + counts.otherModels).toBe(held!.held);
      expect(counts.models['00000000-0000-0000-0000-000000000000']).toBeGreaterThan(1_000);
    }
    await other.destroy();
  });

  it('are given up when most passkeys of a large relying party are gone', async () => {
    await addParties('rp');
    await addPasskeys(PASSKEYS + 1, 'rp');
    const clock = new FakeClock();
    const walk = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn += 1) {
        clock.advance(120);
        await credentials.walk(clock.now());
      }
    };
    await walk();
    expect(await database.sql('SELECT FROM statistic_credential')).toHaveLength(1);
    await database.sql(`DELETE FROM credential WHERE status = 'active'`);
    await walk();
    expect(await database.sql('SELECT FROM statistic_credential')).toEqual([]);
    expect((await credentials.read('rp', clock.now()))!.counts.status).toEqual({ revoked: 500 });
  });

  it.each<[string, string]>([
    ['no object', '[]'],
    ['nothing', '{}'],
    [
      'a count that is none',
      '{"status":{"active":"many"},"models":{},"otherModels":0,"algorithms":{},"backup":{},"trust":{},"unused":0}',
    ],
  ])('are counted again if SQL stores %s in their place', async (_, stored) => {
    await addParties('rp');
    await addPasskeys(PASSKEYS + 5, 'rp');
    await database.sql(
      `UPDATE statistic_walk SET rp_id = 'rp', after = 'ffffffff-ffff-ffff-ffff-ffffffffffff', counts = $1`,
      [stored],
    );
    await database.sql(`INSERT INTO statistic_credential VALUES ('rp', $1, now())`, [stored]);
    expect(await credentials.read('rp', NOW)).toBeUndefined();
    const clock = new FakeClock();
    for (let turn = 0; turn < 3; turn += 1) {
      clock.advance(60);
      await credentials.walk(clock.now());
    }
    expect(sum((await credentials.read('rp', NOW))!.counts.status)).toBe(PASSKEYS + 5);
  });

  it.each(['infinity', '9999-12-31T00:00:00Z', '-infinity'])(
    'go on if SQL sets the time of the next page to %s',
    async (time) => {
      await database.sql('UPDATE statistic_walk SET due_at = $1', [time]);
      expect(await credentials.isDue(NOW)).toBe(true);
      await credentials.walk(NOW);
      expect(await credentials.isDue(NOW)).toBe(false);
    },
  );
});

describe('a table that grows', () => {
  it('does not make a statement read more than its part', async () => {
    await addParties('large', 'few');
    await addPasskeys(4 * PASSKEYS, 'large');
    await addPasskeys(20, 'few');
    for (let day = 0; day < 5; day += 1) await addEvents(2 * LEAVES, new Date(NOW.getTime() - day * 24 * HOUR_MS));
    await database.sql('ANALYZE');
    const { dataSource } = database;
    const reads = new ReadRows(dataSource, /^(credential$|audit_event|audit_leaf|statistic)/);
    const during = async (work: () => Promise<unknown>): Promise<number> => {
      reads.statements = [];
      await work();
      return reads.count();
    };
    await ceremonies.count(NOW);
    // The leaves and their events, and the row of the turn.
    expect(await during(() => ceremonies.count(NOW))).toBeLessThanOrEqual(2 * LEAVES + 10);
    expect(await during(() => ceremonies.readLog())).toBeLessThanOrEqual(10);
    await countAll();
    expect(await during(() => ceremonies.readHours('rp', HOUR - 24, HOUR + 1))).toBeLessThanOrEqual(48);
    expect(await during(() => credentials.read('large', NOW))).toBeLessThanOrEqual(PASSKEYS + 10);
    expect(await during(() => credentials.read('few', NOW))).toBeLessThanOrEqual(20);
    // The passkeys of 65 seconds are sorted together, so both pages beside each of three boundaries read those around it.
    expect(await during(() => credentials.walk(NOW))).toBeLessThanOrEqual(4 * PASSKEYS + (6 * 65_536) / 40 + 30);
  });
});
