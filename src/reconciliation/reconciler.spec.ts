import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { makeSealKeys, makeSeals } from '../../test/support/secret-keys.js';
import { StoredLog } from '../../test/support/stored-log.js';
import { INSERT_EVENT } from '../audit/audit-event.repository.js';
import { describeEvent, EventMacs } from '../audit/event-macs.js';
import { computeSeal } from '../seals/seal.js';
import { hashLeaf } from '../tlog/merkle.js';
import { Metrics } from '../telemetry/metrics.js';
import type { EndedWalk, SealRefresh } from './seal-refresh.js';
import { Reconciler } from './reconciler.js';
import type { WalkedRows } from './walk-page.js';

Logger.overrideLogger(false);

/** Two pages and a half. */
const CREDENTIALS = 1_250;

const MACS = new EventMacs(makeSeals(), { areSealsNew: true });

/** Notes the rows that it gets. */
class FakeRefresh implements Pick<SealRefresh, 'refresh' | 'endWalk'> {
  readonly keys: string[] = [];
  readonly ended: number[] = [];

  refresh(_manager: EntityManager, rows: WalkedRows): Promise<number> {
    this.keys.push(...rows.keys);
    return Promise.resolve(1);
  }

  endWalk(_manager: EntityManager, { oldSeals }: EndedWalk): Promise<void> {
    this.ended.push(oldSeals);
    return Promise.resolve();
  }
}

let log: StoredLog;
let refresh: FakeRefresh;
beforeAll(async () => {
  log = await StoredLog.open();
});
afterAll(() => log.close());

beforeEach(async () => {
  await log.reset();
  refresh = new FakeRefresh();
  await log.sql(`
    TRUNCATE credential, user_handle, relying_party;
    UPDATE reconciliation SET phase = 'credential', after = NULL, began_at = NULL, found = '{}', due_at = '2020-01-01',
      completed_at = NULL, findings = '{}';
    INSERT INTO user_handle (rp_id, user_id, handle, audit_uid, created_at)
      SELECT 'rp', 'u' || n, '', md5('u' || n)::uuid, now() FROM generate_series(1, ${String(CREDENTIALS)}) AS n;
    INSERT INTO credential (rp_id, id, user_id, credential_id, public_key, algorithm, aaguid, name, status, status_changed_at,
        transports, backup_eligible, backed_up, user_verified, attestation_format, attestation_trust, sign_count, created_at,
        created_by, binding_mac, version)
      SELECT rp_id, md5('c' || user_id)::uuid, user_id, user_id::bytea, '', -7, gen_random_uuid(), 'n', 'active', now(),
        '{}', TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', '', 1 FROM user_handle;
    INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id, credential_uid, credential_id)
      SELECT gen_random_uuid(), '{"unmapped":{"credential_version":1}}', '\\x', 'credential.register', 'success', rp_id,
        audit_uid::text, md5('c' || user_id)::uuid, 'c' FROM user_handle;
    INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash)
      SELECT row_number() OVER (ORDER BY id) - 1, id, sha256('') FROM audit_event`);
});

/** A replica that has served for a while. */
function startReplica(worker?: { number: number; of: number }): { reconciler: Reconciler; metrics: Metrics } {
  const { dataSource } = log.database;
  const metrics = new Metrics();
  const reconciler = new Reconciler(dataSource, log.clock, log.replica.audit, metrics, refresh as never, MACS, {
    ...(worker && { worker: { ...worker, replaces: undefined } }),
  });
  log.clock.advance(60);
  return { reconciler, metrics };
}

async function countWalked(...replicas: { metrics: Metrics }[]): Promise<Record<string, number>> {
  const rows: Record<string, number> = {};
  for (const { metrics } of replicas) {
    for (const { labels, value } of (await metrics.reconciledRows.get()).values) {
      const phase = String(labels.phase);
      if (value > 0) rows[phase] = (rows[phase] ?? 0) + value;
    }
  }
  return rows;
}

/** Lets the replicas try at the same time, once in ten seconds, until a whole walk has ended. */
async function walk(...replicas: { reconciler: Reconciler }[]): Promise<number> {
  for (let turns = 1; ; turns += 1) {
    log.clock.advance(10);
    await Promise.all(replicas.map(({ reconciler }) => reconciler.tick()));
    for (const { reconciler } of replicas) expect(reconciler.getState().failure).toBeUndefined();
    const [row] = await log.sql<{ ended: boolean }>('SELECT completed_at IS NOT NULL AS ended FROM reconciliation');
    if (row!.ended) return turns;
  }
}

const ALL = { credential: CREDENTIALS, user_handle: CREDENTIALS, 'credential.register': CREDENTIALS };

describe('a walk', () => {
  it('reads each row and each event that tells of one, and gives each row to be refreshed', async () => {
    const replica = startReplica();
    await walk(replica);
    expect(await countWalked(replica)).toEqual(ALL);
    expect(refresh.keys).toHaveLength(2 * CREDENTIALS);
    expect(new Set(refresh.keys).size).toBe(2 * CREDENTIALS);
    const state = { completedAt: expect.any(String), findings: {}, failure: undefined };
    expect(replica.reconciler.getState()).toEqual(state);
  });

  it('is shared by replicas that try at the same time: one page for all of them', async () => {
    const replicas = [startReplica(), startReplica(), startReplica()];
    const turns = await walk(...replicas);
    expect(await countWalked(...replicas)).toEqual(ALL);
    // Three pages of each table with rows, three of registrations, and one of everything that there is none of.
    expect(turns).toBe(3 + 3 + 1 + 1 + 3 + 8);
  });

  it('goes on where the process before was when it ended', async () => {
    const first = startReplica();
    for (let page = 0; page < 2; page += 1) {
      log.clock.advance(10);
      await first.reconciler.tick();
    }
    expect(await countWalked(first)).toEqual({ credential: 1_000 });
    const second = startReplica();
    await walk(second);
    expect(await countWalked(first, second)).toEqual(ALL);
  });

  it('begins an hour after the one before began', async () => {
    const replica = startReplica();
    await walk(replica);
    log.clock.advance(3_000);
    await replica.reconciler.tick();
    expect(await countWalked(replica)).toEqual(ALL);
    log.clock.advance(600);
    await replica.reconciler.tick();
    expect(await countWalked(replica)).toEqual({ ...ALL, credential: CREDENTIALS + 500 });
  });

  it('waits for the requests of a process that has just started', async () => {
    const replica = startReplica();
    log.clock.advance(-1);
    await replica.reconciler.tick();
    expect(await countWalked(replica)).toEqual({});
  });

  it('waits for no time that a wrong clock has set', async () => {
    const replica = startReplica();
    await log.sql(`UPDATE reconciliation SET due_at = now() + interval '1 year'`);
    await replica.reconciler.tick();
    expect(await countWalked(replica)).toEqual({ credential: 500 });
  });

  it('begins again when another version has left it in a place that this one does not know', async () => {
    const replica = startReplica();
    await log.sql(`UPDATE reconciliation SET phase = 'moon', after = 'x'`);
    await replica.reconciler.tick();
    expect(await countWalked(replica)).toEqual({ credential: 500 });
  });

  it('is a matter of the first worker', () => {
    expect(startReplica({ number: 1, of: 2 }).reconciler.isActive).toBe(true);
    expect(startReplica({ number: 2, of: 2 }).reconciler.isActive).toBe(false);
  });
});

describe('the time of the last whole walk', () => {
  const read = async ({ metrics }: { metrics: Metrics }): Promise<Date | undefined> => {
    const [time] = (await metrics.reconciliationCompleted.get()).values;
    return time?.value ? new Date(time.value * 1_000) : undefined;
  };
  const tick = async (replica: { reconciler: Reconciler }): Promise<void> => {
    log.clock.advance(10);
    await replica.reconciler.tick();
  };

  it('is that at which the first walk began until it has ended, also after a restart', async () => {
    const first = startReplica();
    await tick(first);
    const [{ began } = {}] = await log.sql<{ began: Date }>('SELECT began_at AS began FROM reconciliation');
    await tick(first);
    const second = startReplica();
    await tick(second);
    expect([await read(first), await read(second)]).toEqual([began, began]);
    await walk(second);
    const [{ ended } = {}] = await log.sql<{ ended: Date }>('SELECT completed_at AS ended FROM reconciliation');
    expect(await read(second)).toEqual(ended);
  });

  it('is that at which the process would have begun if no page can be walked', async () => {
    const replica = startReplica();
    const { reconciler } = replica;
    const due = new Date((reconciler as unknown as { beginsAt: number }).beginsAt);
    await log.sql('ALTER TABLE user_handle RENAME COLUMN user_id TO user_id_');
    await tick(replica);
    await log.sql('ALTER TABLE user_handle RENAME COLUMN user_id_ TO user_id');
    expect(reconciler.getState()).toMatchObject({ completedAt: undefined, failure: expect.any(String) });
    expect(await read(replica)).toEqual(due);
  });
});

describe('a page that fails', () => {
  it('is told and walked again, and nothing of it counts', async () => {
    const replica = startReplica();
    await log.sql('DELETE FROM credential; ALTER TABLE reconciliation RENAME COLUMN found TO found_');
    await replica.reconciler.tick();
    expect(replica.reconciler.getState().failure).toContain('found');
    await log.sql('ALTER TABLE reconciliation RENAME COLUMN found_ TO found');
    await walk(replica);
    expect(replica.reconciler.getState()).toMatchObject({
      failure: undefined,
      findings: { 'row-missing': CREDENTIALS },
    });
  });

  it('leaves no record of its findings when the walk cannot go on', async () => {
    const replica = startReplica();
    await log.sql(`UPDATE credential SET version = 0`);
    await log.sql(`ALTER TABLE reconciliation ADD CONSTRAINT fails CHECK (after IS NULL)`);
    await replica.reconciler.tick();
    const count = `SELECT count(*)::integer AS events FROM audit_event WHERE type = 'reconciliation.finding'`;
    expect(await log.sql(count)).toEqual([{ events: 0 }]);
    await log.sql('ALTER TABLE reconciliation DROP CONSTRAINT fails');
    await walk(replica);
    expect(await log.sql(count)).toEqual([{ events: CREDENTIALS }]);
  });
});

describe.each<[string, Buffer | null | undefined]>([
  ['that the sequencer has refused', undefined],
  ['that is pending with a wrong MAC', computeSeal(makeSealKeys(9).seals[0], describeEvent('', Buffer.alloc(0)))],
  ['that is pending without a MAC', null],
])('an event of somebody else %s', (_, mac) => {
  const insert = async (type: string, members: { uid?: string; user?: string; event?: string }): Promise<void> => {
    const event = members.event ?? '{"unmapped":{"credential_version":1}}';
    const inserted = await log.sql<{ id: string }>(
      `INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id, credential_uid, credential_id)
       SELECT ('ffffffff-ffff-7fff-8fff-' || lpad(to_hex(n), 12, '0'))::uuid, $1, $5, $2,
         CASE $2 WHEN 'reconciliation.finding' THEN 'failure' ELSE 'success' END, 'rp', $3, $4, 'c' FROM generate_series(1, 40) AS n
       RETURNING id`,
      [event, type, members.user ?? null, members.uid ?? null, hashLeaf(event)],
    );
    if (mac === undefined) return;
    await log.sql(
      'INSERT INTO audit_pending (event_id, leaf_hash, mac) SELECT id, $2, $3 FROM unnest($1::uuid[]) AS id',
      [inserted.map(({ id }) => id), hashLeaf(event), mac],
    );
  };
  const ID = `md5('cu1')::uuid`;

  beforeEach(async () => {
    await log.sql(`UPDATE audit_event SET event = replace(event, '1}', '2}') WHERE credential_uid = ${ID}`);
  });

  const find = async (): Promise<unknown> => {
    const replica = startReplica();
    await walk(replica);
    return replica.reconciler.getState().findings;
  };
  const [uid, user] = ['cu1', 'u1'].map((text) => {
    const hex = createHash('md5').update(text).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }) as [string, string];

  it('hides no old row, however many there are', async () => {
    await insert('credential.rename', { uid, user });
    expect(await find()).toEqual({ 'row-outdated': 1 });
  });

  it('reports no finding in place of the service', async () => {
    const event = '{"found":"row-outdated: version 1, active; the log says: version 2, active"}';
    await insert('reconciliation.finding', { uid, event });
    expect(await find()).toEqual({ 'row-outdated': 1 });
    const own = await log.sql(
      `SELECT FROM audit_event WHERE type = 'reconciliation.finding' AND event LIKE '%metadata%'`,
    );
    expect(own).toHaveLength(1);
  });

  it('erases no user, and hides no row that is gone', async () => {
    await insert('user.erase', { user });
    await log.sql(`DELETE FROM credential WHERE id = ${ID}`);
    expect(await find()).toEqual({ 'row-missing': 1 });
  });

  it('makes up no row, and does not stop the walk if it names none', async () => {
    await insert('credential.register', { user: 'no uuid' });
    expect(await find()).toEqual({ 'row-outdated': 1 });
  });
});

describe('a pending event of the service', () => {
  const ID = `md5('cu1')::uuid`;
  const rename = async (): Promise<string> => {
    const [row] = await log.sql<{ id: string; uid: string }>(`SELECT ${ID} AS id, md5('u1')::uuid AS uid`);
    const { audit } = log.replica;
    const entry = { type: 'credential.rename', outcome: 'success', rpId: 'rp', userId: 'u1' } as const;
    const credential = { id: row!.id, credentialId: 'c' };
    const { id, values } = audit.createRow(null, { ...entry, credential, facts: { credential_version: 2 } }, row!.uid);
    await INSERT_EVENT.run(log.database.dataSource, values);
    return id;
  };
  const find = async (): Promise<unknown> => {
    const replica = startReplica();
    await walk(replica);
    return replica.reconciler.getState().findings;
  };

  it('tells of its row', async () => {
    await rename();
    expect(await find()).toEqual({ 'row-outdated': 1 });
    await log.sql(
      `UPDATE credential SET version = 2 WHERE id = ${ID}; UPDATE reconciliation SET due_at = '2020-01-01', completed_at = NULL`,
    );
    expect(await find()).toEqual({});
  });

  it('tells nothing if somebody has changed its text', async () => {
    const id = await rename();
    await log.sql(`UPDATE audit_event SET event = replace(event, '_version":2', '_version":7') WHERE id = $1`, [id]);
    expect(await find()).toEqual({});
  });

  it('is not newer than it was if somebody makes it pending again', async () => {
    const make = async (version: number): Promise<void> => {
      const entry = { type: 'relying-party.update', outcome: 'success', rpId: 'rp' } as const;
      await log.replica.audit.record(null, { ...entry, facts: { version } });
    };
    await log.sql('DELETE FROM credential; DELETE FROM audit_event; DELETE FROM audit_leaf');
    await log.sql(`INSERT INTO relying_party (rp_id, name, origins, enabled, policy, version, created_at, updated_at)
      VALUES ('rp', 'n', '{}', TRUE, '{}', 1, now(), now())`);
    await make(1);
    await log.sql('CREATE TABLE kept AS TABLE audit_pending');
    await make(2);
    await log.replica.settle();
    await log.sql('INSERT INTO audit_pending SELECT * FROM kept; DROP TABLE kept');
    expect(await find()).toEqual({ 'row-outdated': 1 });
  });

  it('is not read with more than ten thousand others, and the walk waits', async () => {
    await log.sql(
      `INSERT INTO audit_pending (event_id, leaf_hash) SELECT gen_random_uuid(), sha256('') FROM generate_series(1, 10001)`,
    );
    const replica = startReplica();
    await replica.reconciler.tick();
    expect(replica.reconciler.getState().failure).toContain('more than 10000 events are pending');
    await log.sql('TRUNCATE audit_pending');
    await walk(replica);
    expect(replica.reconciler.getState()).toMatchObject({ failure: undefined, findings: {} });
  });
});

describe('a row whose events may have left the database', () => {
  it('is not found as long as a month is archived that may have them', async () => {
    await log.sql(`DELETE FROM audit_event;
      INSERT INTO audit_archive SELECT 'p', id, 'ffffffff-ffff-7fff-8fff-ffffffffffff', 0, 1, 1, '', now() FROM gen_random_uuid() AS id`);
    const replica = startReplica();
    await walk(replica);
    expect(replica.reconciler.getState().findings).toEqual({});
  });
});
