import 'reflect-metadata';
import { Outbox } from '../signals/outbox.repository.js';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger as Log } from '@nestjs/common';
import { And, In, Not } from 'typeorm';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeAccess } from '../../test/support/fake-access.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { OwnerRunner } from '../../test/support/owner-runner.js';
import { makeLogSigners, SampleLog } from '../../test/support/sample-log.js';
import { makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { ReadRows } from '../../test/support/read-rows.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { OpenExports } from '../access/open-exports.js';
import { UserSeals } from '../audit/user-seals.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditReader } from '../audit-log/audit-reader.js';
import { KeyChanges } from '../audit-log/key-changes.js';
import { LogExport } from '../audit-log/log-export.js';
import { makeLogKeys } from '../audit-log/log-keys.js';
import type { LogLines } from '../audit-log/log-lines.js';
import type { LogProofs } from '../audit-log/log-proofs.js';
import { AuditCheckpointEntity } from '../audit-log/log.entities.js';
import { LogRepository } from '../audit-log/log.repository.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { UNKNOWN_HANDLE } from '../challenges/held-handle.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { CredentialRepository, SCANNED_ROWS } from '../credentials/credential.repository.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import type { ListCredentialsQuery } from '../credentials/dto/list-credentials.query.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { ListIndexes1764400000000 } from './migrations/1764400000000-list-indexes.js';
import { SmallerIndexes1764900000000 } from './migrations/1764900000000-smaller-indexes.js';

const ROWS = 20_000;
const PAGE = 50;
/** Credentials whose ids begin with the same eight digits, as those of 65 seconds do. */
const PER_TIME = 10;
/** One credential of four is of this model. */
const MODEL = '11111111-2222-4333-8444-555555555555';
/** Values of user_handle.audit_uid: the pseudonyms of one user at two relying parties. */
const [UID, OTHER_UID] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

/** Notes the ranges of an export, and gives no lines. */
class FakeLines implements Pick<LogLines, 'formatRange'> {
  readonly ranges: object[] = [];

  get service(): LogLines {
    return this as Pick<LogLines, 'formatRange'> as LogLines;
  }

  formatRange(range: object): AsyncGenerator<Buffer> {
    this.ranges.push(range);
    return this.listNothing();
  }

  private async *listNothing(): AsyncGenerator<Buffer> {
    yield* await Promise.resolve([]);
  }
}

/** Has a checkpoint of all rows. */
class FakeProofs implements Pick<LogProofs, 'getCheckpoint'> {
  get service(): LogProofs {
    return this as Pick<LogProofs, 'getCheckpoint'> as LogProofs;
  }

  getCheckpoint(): Promise<AuditCheckpointEntity> {
    return Promise.resolve(Object.assign(new AuditCheckpointEntity(), { size: ROWS, note: '' }));
  }
}

let database: TestDataSource;
let reads: ReadRows;
let events: AuditReader;
let credentials: CredentialsService;

beforeAll(async () => {
  // No row is sealed, and the service would log each of them.
  Log.overrideLogger(false);
  database = await openTestDataSource();
  await database.sql(`
    INSERT INTO credential SELECT CASE i % 4000 WHEN 0 THEN 'rare' ELSE 'rp' END,
      (lpad(to_hex(i / ${String(PER_TIME)} << 20), 12, '0') || left(md5(i::text), 20))::uuid, 'u' || i,
      decode(md5(i::text), 'hex'), '', -7, CASE i % 4 WHEN 2 THEN '${MODEL}' ELSE gen_random_uuid() END, 'n',
      CASE WHEN i % 4000 = 1 THEN 'revoked' WHEN i % 10 = 3 THEN 'suspended' ELSE 'active' END,
      NULL, now(), NULL, '{}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), 'x', NULL, ''
      FROM generate_series(1, ${String(ROWS)}) i;
    UPDATE credential SET user_handle = sha256(('other ' || user_id)::bytea) WHERE user_id LIKE '%7';
    INSERT INTO relying_party SELECT rp_id, 'n', '{}', TRUE, '{}', 1, now(), now() FROM unnest('{rp,rare,seldom}'::text[]) AS rp_id;
    INSERT INTO user_handle (rp_id, user_id, handle, created_at)
      SELECT rp_id, user_id, sha256(user_id::bytea), created_at FROM credential;
    INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid)
      VALUES ('rp', 'robot', '', now(), '${UID}'), ('rare', 'robot', '', now(), '${OTHER_UID}');
    INSERT INTO audit_event (id, event, leaf_hash, type, outcome, rp_id, user_id, actor, credential_uid, credential_id)
      SELECT made.id, json_build_object('metadata', json_build_object('uid', made.id)), '',
        CASE WHEN i % 2 = 0 THEN 'challenge.issue' WHEN i < 100 THEN 'credential.rename' ELSE 'credential.verify' END,
        CASE WHEN i % 10 = 1 THEN 'failure' ELSE 'success' END,
        CASE WHEN i <= 20 THEN 'rare' WHEN i <= 40 THEN 'seldom' ELSE 'rp' END,
        CASE WHEN i % 50 = 0 THEN '${UID}' WHEN i % 50 = 1 THEN '${OTHER_UID}' ELSE 'u' || i END,
        CASE WHEN i < 100 THEN 'seldom' ELSE 'often' END, CASE WHEN i % 100 = 1 THEN '${UID}'::uuid END,
        CASE WHEN i % 100 = 1 THEN 'known' WHEN i < 100 THEN 'unknown' END
      FROM generate_series(1, ${String(ROWS)}) i, LATERAL (
        SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + i), 12, '0') || left(md5(i::text), 20))::uuid AS id
      ) made;
    ANALYZE`);
  const { dataSource } = database;
  reads = new ReadRows(dataSource, /^(credential$|user_handle|audit_event|audit_leaf)/);
  const { service, refusals } = new FakeAudit();
  const clock = { now: () => new Date() };
  events = new AuditReader(
    dataSource.getRepository(AuditEventEntity),
    service,
    new LogRepository(dataSource),
    TEST_KEYS,
    clock,
    // The users have no seal, like those of the version before.
    new UserSeals(makeSeals(TEST_KEYS, { areOldAccepted: true }), refusals),
  );
  credentials = new CredentialsService(
    dataSource.getRepository(CredentialEntity),
    new CredentialRepository(dataSource),
    clock,
    new CredentialBindings(makeSeals(), refusals),
    new AuthenticatorsService({ findModel: () => undefined }),
    service,
    new Outbox(),
  );
});
beforeEach(() => {
  reads.statements = [];
});
afterAll(() => database.close());

const createContext = (relyingParties: string[] | null = null): AuthorizedContext =>
  makeAuthorizedContext({}, relyingParties);

/** Counts the rows of the large tables that the statements so far have read, whether or not they kept them. */
const countRowsRead = (): Promise<number> => reads.count();

describe('a page of the audit log reads a bounded number of rows', () => {
  it.each([
    ['the newest', {}, null],
    ['of a user who has two pseudonyms', { userId: 'robot' }, null],
    ['of such a user, to an auditor of one relying party', { userId: 'robot' }, ['rp']],
    ['of failures', { outcome: 'failure' }, null],
    ['of a frequent type', { type: 'credential.verify' }, null],
    ['of a type that was last recorded long ago', { type: 'credential.rename' }, null],
    ['of a type that was never recorded', { type: 'user.erase' }, null],
    ['of a busy caller', { actor: 'often' }, null],
    ['of a caller who came last long ago', { actor: 'seldom' }, null],
    ['of a credential, by its id', { credentialId: UID }, null],
    ['of a credential, by the id that its authenticator knows', { credentialId: 'known' }, null],
    ['of a credential that the service does not know', { credentialId: 'unknown' }, null],
    ['to an auditor of a relying party that has few events, long ago', {}, ['rare']],
    ['to an auditor of a relying party that has none', {}, ['none']],
    ['to an auditor of two such', {}, ['rare', 'seldom']],
    ['to an auditor of a large and a small one', {}, ['rp', 'rare']],
  ])('%s', async (_, query, relyingParties) => {
    await events.list(createContext(relyingParties), { ...query, limit: PAGE });
    // One more row for the oldest event, and a few for the pseudonyms.
    expect(await countRowsRead()).toBeLessThanOrEqual(3 * (PAGE + 1) + 6);
  });

  it('and contains the newest event of all its sources, each once', async () => {
    const own = await database.sql<{ id: string }>(
      `SELECT id FROM audit_event WHERE user_id IN ($1, $2) ORDER BY id DESC LIMIT ${String(PAGE)}`,
      [UID, OTHER_UID],
    );
    const page = await events.list(createContext(), { userId: 'robot', limit: PAGE });
    expect(page.data).toHaveLength(PAGE);
    const cursor = Buffer.from(page.nextCursor ?? '', 'base64url').toString();
    expect(cursor).toBe(own.at(-1)!.id);
  });
});

describe('the search for the newest change of the audit key', () => {
  it('reads no event of another type', async () => {
    const [origin, audit] = [SampleLog.ORIGIN, new FakeAudit()];
    const former = SampleLog.SIGNERS.map(({ key }) => key);
    const changes = new KeyChanges(makeLogKeys(origin, makeLogSigners(origin), former), audit.service);
    await changes.recordOnce(database.dataSource.manager, { note: await new SampleLog(1).makeCheckpoint(1) });
    expect(audit.entries.map(({ type }) => type)).toEqual(['audit.rekey']);
    expect(reads.statements).toHaveLength(1);
    expect(await countRowsRead()).toBe(0);
  });
});

/** Selects a cursor and the id at which the page after it ends, among the credentials that meet a condition. */
async function findDeepPage(condition: string): Promise<{ cursor: string; end: string }> {
  const ids = await database.sql<{ id: string }>(
    `SELECT id FROM credential WHERE ${condition} ORDER BY id OFFSET 1503 LIMIT ${String(PAGE + 1)}`,
  );
  return { cursor: encodeCursor(ids[0]!.id), end: encodeCursor(ids[PAGE]!.id) };
}
const encodeCursor = (id: string): string => Buffer.from(id).toString('base64url');

describe('a page of credentials reads a bounded number of rows', () => {
  it.each([
    ['of all', {}],
    ['of a relying party', { rpId: 'rp' }],
    ['of a small relying party', { rpId: 'rare' }],
    ['of a model', { aaguid: MODEL }],
    ['of a model that nobody has', { aaguid: UID }],
    ['of a user', { userId: 'u7' }],
    ['of a user, at a relying party', { rpId: 'rp', userId: 'u7' }],
    ['revoked', { status: 'revoked' as const }],
    ['revoked, of a relying party', { rpId: 'rp', status: 'revoked' as const }],
    ['suspended, of a relying party where a tenth is', { rpId: 'rp', status: 'suspended' as const }],
    ['suspended, of a relying party where none is', { rpId: 'rare', status: 'suspended' as const }],
  ])('%s', async (_, query) => {
    await credentials.list(createContext(), { ...query, limit: PAGE });
    expect(reads.statements.length).toBeGreaterThan(0);
    // The rows of a time are sorted together.
    expect(await countRowsRead()).toBeLessThanOrEqual(PAGE + 1 + PER_TIME);
  });

  it.each<[string, Omit<ListCredentialsQuery, 'limit'>]>([
    ['of a model, at a relying party', { rpId: 'rp', aaguid: MODEL }],
    ['of a model, at a relying party that has none of it', { rpId: 'rare', aaguid: MODEL }],
    ['active', { status: 'active' }],
    ['unused for long, where none is', { rpId: 'rp', unusedSince: '2000-01-01T00:00:00Z' }],
    ['unused for long, where all are', { unusedSince: '2999-01-01T00:00:00Z' }],
    ['without a backup', { rpId: 'rp', backedUp: 'false' }],
    ['that cannot have a backup', { aaguid: MODEL, backupEligible: 'false' }],
    ['of an algorithm that none has', { rpId: 'rp', algorithm: '-48' }],
    ['of a trusted maker', { attestationTrust: 'trusted' }],
    ['of a trusted maker, suspended', { status: 'suspended', attestationTrust: 'trusted' }],
    [
      'of a user, with everything else',
      { userId: 'u7', rpId: 'rp', algorithm: '-7', backedUp: 'true', status: 'active' },
    ],
  ])('%s, of which a page reads a bounded part', async (_, query) => {
    const page = await credentials.list(createContext(), { ...query, limit: PAGE });
    expect(await countRowsRead()).toBeLessThanOrEqual(SCANNED_ROWS + PAGE + 1 + PER_TIME);
    if (page.data.length === PAGE) expect(await countRowsRead()).toBeLessThanOrEqual(2 * PAGE * 4 + PER_TIME);
  });

  it('to the end of the list, with no page that reads more, also to a caller of several relying parties', async () => {
    const [kept] = await database.sql<{ count: number }>(
      `SELECT count(*)::integer FROM credential WHERE rp_id = 'rare' AND backed_up`,
    );
    const [context, ids] = [createContext(['rare', 'seldom']), [] as string[]];
    let [pages, cursor] = [0, undefined as string | undefined];
    do {
      reads.statements = [];
      const page = await credentials.list(context, { backedUp: 'true', limit: PAGE, ...(cursor && { cursor }) });
      expect(await countRowsRead()).toBeLessThanOrEqual(SCANNED_ROWS + PAGE + 1 + PER_TIME);
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
      pages += 1;
    } while (cursor !== undefined);
    expect(pages).toBe(Math.ceil((ROWS + 1) / SCANNED_ROWS));
    expect(kept!.count).toBe(ROWS / 4000);
  });

  it.each([
    ['of all', {}, 'true'],
    ['of a relying party', { rpId: 'rp' }, `rp_id = 'rp'`],
    ['of a model', { aaguid: MODEL }, `aaguid = '${MODEL}'`],
  ])('far from the beginning of the list %s, where the page before ended', async (_, query, condition) => {
    const { cursor, end } = await findDeepPage(condition);
    const page = await credentials.list(createContext(), { ...query, cursor, limit: PAGE });
    expect(page.nextCursor).toBe(end);
    expect(await countRowsRead()).toBeLessThanOrEqual(PAGE + 1 + 2 * PER_TIME);
  });
});

describe('the check of an unknown credential', () => {
  it('reads the row of the handle and those of the user', async () => {
    const manager = database.dataSource.manager;
    const handle = createHash('sha256').update('u7').digest();
    const user = await manager.findOneBy(UserHandleEntity, { rpId: 'rp', handle });
    expect(user?.userId).toBe('u7');
    const where = [{ credentialId: handle }, { rpId: 'rp', userId: 'u7' }];
    expect(await manager.find(CredentialEntity, { where })).toHaveLength(1);
    expect(await countRowsRead()).toBe(2);
  });
});

describe('the search for other users who have the handle of an imported passkey', () => {
  it('reads the rows of the handle only', async () => {
    const manager = database.dataSource.manager;
    const [handle, held] = ['u7', 'other u17'].map((name) => createHash('sha256').update(name).digest());
    const owners = await manager.find(UserHandleEntity, { where: { rpId: 'rp', handle: In([handle, held]) } });
    expect(owners.map(({ userId }) => userId)).toEqual(['u7']);
    const userHandle = And(In([handle, held]), Not(UNKNOWN_HANDLE));
    const holders = await manager.find(CredentialEntity, { where: { rpId: 'rp', userId: Not('u7'), userHandle } });
    expect(holders.map(({ userId }) => userId)).toEqual(['u17']);
    expect(await countRowsRead()).toBe(2);
  });
});

describe('a list of credentials', () => {
  it('is limited to the caller’s relying parties by the query itself, whatever the caller names', async () => {
    const countListed = async (relyingParties: string[], rpId?: string): Promise<number> => {
      reads.statements = [];
      await credentials.list(createContext(relyingParties), { limit: PAGE, ...(rpId && { rpId }) });
      const [{ text, parameters } = { text: '', parameters: [] }] = reads.statements;
      return (await database.sql(text, parameters)).length;
    };
    expect(await countListed(['rare'])).toBe(ROWS / 4000);
    expect(await countListed(['rare'], 'rare')).toBe(ROWS / 4000);
    expect(await countListed(['rare'], 'rp')).toBe(0);
    expect(await countListed([], 'rp')).toBe(0);
    expect(await countListed([])).toBe(0);
  });
});

describe('the range of an export', () => {
  /** One leaf each half hour, for more than a year. */
  const toLeafTime = (leaf: number): string => new Date(Date.UTC(2026, 0, 1) + leaf * 1_800_000).toISOString();

  beforeAll(async () => {
    await database.sql(`
      INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash)
        SELECT i, (lpad(to_hex((extract(epoch FROM '${toLeafTime(0)}'::timestamptz) * 1000)::bigint + i::bigint * 1800000), 12, '0')
                   || left(md5(i::text), 20))::uuid, sha256(i::text::bytea)
        FROM generate_series(0, ${String(ROWS)} - 1) i;
      ANALYZE audit_leaf`);
  });

  it.each([
    ['in the middle of the log', 10_000, 10_000],
    ['at its end', ROWS - 2, ROWS - 2],
    ['of a day', 5_000, 5_048],
  ])('to a moment %s is found without reading through the log', async (_, from, to) => {
    const lines = new FakeLines();
    const exports = new LogExport(
      new LogRepository(database.dataSource),
      lines.service,
      new FakeProofs().service,
      new FakeAudit().service,
      new OpenExports(new FakeAccess().service),
    );
    const end = new Date(Date.parse(toLeafTime(to)) + 1).toISOString();
    (await exports.open(createContext(), { from: toLeafTime(from), to: end })).destroy();
    expect(lines.ranges).toEqual([{ from, to: to + 1 }]);
    expect(await countRowsRead()).toBeLessThanOrEqual(20);
  });
});

describe('the migrations that make their indexes', () => {
  const listIndexes = (): Promise<{ oid: string }[]> =>
    database.sql(
      `SELECT oid FROM pg_class WHERE relkind = 'i' AND relname ~ '^(credential|user_handle|audit_event)' ORDER BY oid`,
    );

  it('take over the earlier rows without locking anybody out', async () => {
    const migration = new ListIndexes1764400000000();
    const { runner } = new OwnerRunner(database);
    await migration.down(runner);
    const partitions = await database.sql<{ name: string }>(
      `SELECT name FROM audit_partitions() UNION SELECT 'audit_event_default'`,
    );
    await database.sql(
      `CREATE INDEX CONCURRENTLY credential_status ON credential (status, id) WHERE status <> 'active'`,
    );
    for (const { name } of partitions) {
      await database.sql(`CREATE INDEX CONCURRENTLY ON ${name} (rp_id, id) WHERE rp_id IS NOT NULL`);
    }
    const before = await listIndexes();
    await migration.up(runner);
    expect(await listIndexes()).toEqual(before);
    const valid = await database.sql(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'audit_event_rp'::regclass`);
    expect(valid).toEqual([{ indisvalid: true }]);
  });

  it('take over the smaller ones, too, and only drop the others', async () => {
    const migration = new SmallerIndexes1764900000000();
    const { runner } = new OwnerRunner(database);
    await migration.down(runner);
    const old = await listIndexes();
    const made = [
      'UNIQUE INDEX CONCURRENTLY credential_key ON credential (id)',
      'INDEX CONCURRENTLY credential_rp_time ON credential (rp_id, left(id::text, 8))',
      'INDEX CONCURRENTLY credential_aaguid_time ON credential (aaguid, left(id::text, 8))',
      'INDEX CONCURRENTLY credential_user_hash ON credential USING hash (user_id)',
      'INDEX CONCURRENTLY user_handle_hash ON user_handle USING hash (handle)',
    ];
    for (const index of made) await database.sql(`CREATE ${index}`);
    const all = (await listIndexes()).map(({ oid }) => oid);
    await migration.up(runner);
    const left = (await listIndexes()).map(({ oid }) => oid);
    expect(all).toEqual(expect.arrayContaining(left));
    expect(left.filter((oid) => !old.some((index) => index.oid === oid))).toHaveLength(made.length);
  });
});
