import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals } from '../../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { DEFAULT_POLICY } from '../relying-parties/relying-party-policy.js';
import { RelyingPartySeals } from '../relying-parties/relying-party-seals.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { readKeyId } from '../seals/seal.js';
import type { Seals } from '../seals/seals.js';
import { SealRegister } from '../seals/seal-register.js';
import { Metrics } from '../telemetry/metrics.js';
import { SealRefresh } from './seal-refresh.js';
import type { WalkedRows } from './walk-page.js';

Logger.overrideLogger(false);

const NOW = new Date('2026-06-30T12:00:00.000Z');
const RP_ID = 'a.example';
const [OLD, BOTH] = [makeSealKeys(1), makeSealKeys(2, 1)];
const [NEW_ID, OLD_ID] = BOTH.seals.map(({ id }) => id) as [string, string];

let database: TestDataSource;
let audit: FakeAudit;
beforeAll(async () => {
  database = await openTestDataSource();
});
beforeEach(async () => {
  audit = new FakeAudit();
  await database.sql('TRUNCATE credential, user_handle, relying_party, seal_phase, approval');
});
afterAll(() => database.close());

async function makeRefresh(seals: Seals = makeSeals(BOTH)): Promise<SealRefresh> {
  const { refusals } = audit;
  const register = await SealRegister.read(database.dataSource, { now: () => NOW }, BOTH);
  return new SealRefresh(
    new CredentialBindings(seals, refusals),
    new UserSeals(seals, refusals),
    new RelyingPartySeals(seals, refusals),
    register,
    new Metrics(),
  );
}

/** Stores a row of each table, sealed by the old key. @returns the rows of a page of each */
async function storeOld(): Promise<WalkedRows[]> {
  const [seals, { refusals }] = [makeSeals(OLD), audit];
  const credential = new CredentialBindings(seals, refusals).seal(makeCredentialRow({ rpId: RP_ID }));
  const user = { rpId: RP_ID, userId: 'u-1', handle: Buffer.alloc(32), auditUid: randomUUID(), createdAt: NOW };
  const party = new RelyingPartySeals(seals, refusals).seal({
    ...{ rpId: RP_ID, name: 'A', origins: ['https://a.example'], enabled: true, policy: DEFAULT_POLICY },
    ...{ version: 1, createdAt: NOW, updatedAt: NOW, seal: null },
  });
  const { manager } = database.dataSource;
  await manager.insert(CredentialEntity, credential);
  await manager.insert(UserHandleEntity, { ...user, seal: new UserSeals(seals, refusals).seal(user) });
  await manager.insert(RelyingPartyEntity, party);
  return [
    { table: 'credential', keys: [credential.id] },
    { table: 'user_handle', keys: [user.auditUid] },
    { table: 'relying_party', keys: [RP_ID] },
  ];
}

const walk = (refresh: SealRefresh, rows: WalkedRows): Promise<number> =>
  database.dataSource.transaction((manager) => refresh.refresh(manager, rows));
async function readKeyIds(): Promise<string[]> {
  const rows = await database.sql<{ seal: Buffer }>(
    'SELECT binding_mac AS seal FROM credential UNION ALL SELECT seal FROM user_handle UNION ALL SELECT seal FROM relying_party',
  );
  return rows.map(({ seal }) => readKeyId(seal));
}

describe('the walk', () => {
  it('seals every row again that another key than the first has sealed, once', async () => {
    const pages = await storeOld();
    const refresh = await makeRefresh();
    for (const page of pages) expect(await walk(refresh, page)).toBe(1);
    expect(await readKeyIds()).toEqual([NEW_ID, NEW_ID, NEW_ID]);
    for (const page of pages) expect(await walk(refresh, page)).toBe(0);
    const seals = makeSeals(makeSealKeys(2));
    const [credential] = await database.dataSource.getRepository(CredentialEntity).find();
    expect(new CredentialBindings(seals, audit.refusals).isGenuine(credential!)).toBe(true);
    const [user] = await database.dataSource.getRepository(UserHandleEntity).find();
    expect(new UserSeals(seals, audit.refusals).isGenuine(user!)).toBe(true);
    expect(audit.entries).toEqual([]);
  });

  it('leaves the wrong seal to a row that something else changed, and reports it', async () => {
    const pages = await storeOld();
    await database.sql(`UPDATE credential SET name = 'x'; UPDATE user_handle SET handle = '\\x07';
      UPDATE relying_party SET name = 'x'`);
    const refresh = await makeRefresh();
    for (const page of pages) expect(await walk(refresh, page)).toBe(0);
    expect(await readKeyIds()).toEqual([OLD_ID, OLD_ID, OLD_ID]);
    expect(audit.entries.map(({ type }) => type)).toEqual([
      'credential.tampered',
      'user.tampered',
      'relying-party.tampered',
    ]);
  });

  it('waits for no row that is in use, and counts it as old', async () => {
    const [page] = await storeOld();
    const refresh = await makeRefresh();
    await database.dataSource.transaction(async (manager) => {
      await manager.query('SELECT FROM credential FOR UPDATE');
      expect(await walk(refresh, page!)).toBe(1);
    });
    expect((await readKeyIds())[0]).toBe(OLD_ID);
  });

  it('seals users of the version before, who have no seal', async () => {
    const [, page] = await storeOld();
    await database.sql('UPDATE user_handle SET seal = NULL');
    expect(await walk(await makeRefresh(), page!)).toBe(0);
    expect(await walk(await makeRefresh(makeSeals(BOTH, { areOldAccepted: true })), page!)).toBe(1);
    expect((await readKeyIds())[1]).toBe(NEW_ID);
  });
});

describe('the end of the old seals', () => {
  const LATER = new Date(NOW.getTime() + 600_000);
  const end = async (oldSeals: number, beganAt = LATER): Promise<boolean> => {
    const refresh = await makeRefresh();
    await database.dataSource.transaction((manager) => refresh.endWalk(manager, { beganAt, oldSeals }));
    return (await database.sql(`SELECT FROM seal_phase WHERE phase = 'only-new'`)).length === 1;
  };
  const begin = (since: Date): Promise<unknown> => database.sql(`INSERT INTO seal_phase VALUES ('new', $1)`, [since]);

  it('comes when a whole walk has found none', async () => {
    await begin(NOW);
    expect(await end(1)).toBe(false);
    expect(await end(0)).toBe(true);
  });

  it('does not come by a walk that began while replicas still made some', async () => {
    await begin(NOW);
    expect(await end(0, NOW)).toBe(false);
    expect(await end(0, new Date(LATER.getTime() - 1))).toBe(false);
  });

  it('waits until the old requests for approval are deleted', async () => {
    await begin(NOW);
    await database.sql(`INSERT INTO approval (id, permission, rp_id, action, requested_by, requested_at, expires_at, status, mac)
      VALUES (gen_random_uuid(), 'passkeys:erase', 'a.example', '{}', 'x', now(), now(), 'expired', sha256(''))`);
    expect(await end(0)).toBe(false);
    await database.sql('TRUNCATE approval');
    expect(await end(0)).toBe(true);
  });
});
