import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../test/support/credential-rows.js';
import { makeSealKeys, makeSeals } from '../test/support/secret-keys.js';
import { openTestDataSource, type TestDataSource } from '../test/support/test-data-source.js';
import { DataSource } from 'typeorm';
import { AuditEventEntity } from '../src/audit/audit-event.entity.js';
import { CredentialEntity } from '../src/credentials/credential.entity.js';
import { describeRow } from '../src/credentials/credential-bindings.js';
import { createCommandOptions } from '../src/database/data-source.js';
import { addKey, listKeyIds, moveKeyFirst, removeKey } from './keys/key-file.js';
import { formatKeys, listKeys } from './keys/key-table.js';
import { forceRetire, retire } from './keys/retire.js';

describe('the file of keys', () => {
  let directory: string;
  let file: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'passkey-keys-'));
    file = join(directory, 'binding.keys');
  });
  beforeEach(() => {
    writeFileSync(file, `${Buffer.alloc(32, 1).toString('base64')}\n`);
    chmodSync(file, 0o440);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it('gets a new key at the end, where it seals nothing yet, and keeps its mode', () => {
    const [old] = listKeyIds(file);
    const added = addKey(file);
    expect(listKeyIds(file)).toEqual([old, added]);
    expect(statSync(file).mode & 0o777).toBe(0o440);
    expect(addKey(file)).not.toBe(added);
  });

  it('has the key first that is to seal, and loses one', () => {
    const [old, added] = [listKeyIds(file)[0]!, addKey(file)];
    moveKeyFirst(file, added);
    expect(listKeyIds(file)).toEqual([added, old]);
    removeKey(file, old);
    expect(listKeyIds(file)).toEqual([added]);
  });

  it('has at most eight keys', () => {
    for (let count = 1; count < 8; count += 1) addKey(file);
    const before = readFileSync(file, 'utf8');
    expect(() => addKey(file)).toThrow('The file has 8 keys: retire and remove one.');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('is left alone when it does not have the key', () => {
    expect(() => {
      moveKeyFirst(file, '00000000');
    }).toThrow('has no key 00000000');
    expect(() => {
      removeKey(file, '00000000');
    }).toThrow('has no key 00000000');
  });
});

describe('the keys in the database', () => {
  const keys = makeSealKeys(1, 2);
  const [OLD, NEW] = keys.seals.map(({ id }) => id) as [string, string];
  let database: TestDataSource;
  let owner: DataSource;
  beforeAll(async () => {
    database = await openTestDataSource();
    owner = await new DataSource(createCommandOptions(database.ownerUrl)).initialize();
  });
  beforeEach(async () => {
    await database.sql('TRUNCATE seal_key, credential, audit_event, audit_pending');
    await database.sql(
      `INSERT INTO seal_key VALUES ($1, '\\x00', now(), now() - interval '1 day'), ($2, '\\x00', now(), now())`,
      [OLD, NEW],
    );
  });
  afterAll(async () => {
    await owner.destroy();
    await database.close();
  });

  const insertSealedBy = async (fill: number): Promise<void> => {
    const row = makeCredentialRow();
    const bindingMac = makeSeals(makeSealKeys(fill)).seal(describeRow(row));
    await database.dataSource.manager.insert(CredentialEntity, Object.assign(row, { bindingMac }));
  };
  const readRetired = async (): Promise<string[]> =>
    (await listKeys(owner)).filter(({ retiredAt }) => retiredAt).map(({ id }) => id!);
  const retireOld = (wait: () => Promise<unknown> = () => Promise.resolve()): Promise<void> => retire(owner, OLD, wait);

  it('are shown with their place in the file and the rows that they sealed', async () => {
    await insertSealedBy(1);
    await insertSealedBy(2);
    await insertSealedBy(2);
    await database.dataSource.manager.insert(CredentialEntity, makeCredentialRow({ bindingMac: Buffer.alloc(32) }));
    const lines = formatKeys([NEW], await listKeys(owner))
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(lines).toEqual([
      ['key', 'place', 'credential', 'user_handle', 'relying_party', 'approval', 'audit_pending'],
      [NEW, 'seals', '2', '0', '0', '0', '0'],
      [OLD, 'missing in the file', '1', '0', '0', '0', '0'],
      ['none', 'the version before', '1', '0', '0', '0', '0'],
    ]);
  });

  it('lose one that no row needs, once no replica seals with it any more, and the log has that', async () => {
    let retiring: string[] = [];
    await retireOld(async () => {
      retiring = await readRetired();
    });
    expect(retiring).toEqual([OLD]);
    expect(await readRetired()).toEqual([OLD]);
    const events = await database.dataSource.getRepository(AuditEventEntity).find();
    expect(events.map(({ type, event }) => [type, event.includes(OLD)])).toEqual([['seal-key.retire', true]]);
  });

  it('keep the one that a service began to seal with last, although it needs no row', async () => {
    const refused = `The key ${OLD} cannot be retired: no service seals with another key yet. Restart the replicas with the new file first.`;
    const options = { approvalId: undefined, show: () => undefined };
    for (const state of [
      ['UPDATE seal_key SET first_at = NULL WHERE id <> $1', OLD],
      ['UPDATE seal_key SET first_at = now() WHERE id = $1', OLD],
      // A service with the other key first is about to lose that one, too.
      [`UPDATE seal_key SET first_at = now(), retired_at = '9999-01-01' WHERE id <> $1`, OLD],
      ['DELETE FROM seal_key WHERE id <> $1', OLD],
    ] as const) {
      await database.sql(state[0], [state[1]]);
      const before = await database.sql('SELECT * FROM seal_key ORDER BY id');
      await expect(retireOld(() => Promise.reject(new Error('waits')))).rejects.toThrow(refused);
      const force = forceRetire(owner, OLD, () => Promise.reject(new Error('waits')), options);
      await expect(force).rejects.toThrow(refused);
      expect(await database.sql('SELECT * FROM seal_key ORDER BY id')).toEqual(before);
    }
  });

  it('keep one that a row needs', async () => {
    await insertSealedBy(1);
    await expect(retireOld()).rejects.toThrow(`The key ${OLD} cannot be retired: it has sealed rows (1 × credential).`);
    expect(await readRetired()).toEqual([]);
  });

  it('keep one by which an event waits for its place in the log', async () => {
    const mac = makeSeals(keys).seal({ kind: 'event', parts: [] });
    await database.sql('INSERT INTO audit_pending (event_id, leaf_hash, mac) VALUES (gen_random_uuid(), $1, $2)', [
      ...[Buffer.alloc(32), mac],
    ]);
    await expect(retireOld()).rejects.toThrow('(1 × audit_pending)');
  });

  it('keep one with which a replica seals a row at the last moment', async () => {
    await expect(retireOld(() => insertSealedBy(1))).rejects.toThrow('cannot be retired');
    expect(await readRetired()).toEqual([]);
    expect(await database.sql('SELECT FROM audit_event')).toEqual([]);
  });

  describe('lose one by force', () => {
    const force = async (wait: () => Promise<unknown> = () => Promise.resolve()): Promise<[string[], number]> => {
      const names: string[] = [];
      const rows = await forceRetire(owner, OLD, wait, { approvalId: undefined, show: (name) => names.push(name) });
      return [names, rows];
    };
    const listFacts = async (): Promise<[string, unknown][]> =>
      (await database.dataSource.getRepository(AuditEventEntity).find()).map(({ type, event }) => [
        type,
        (JSON.parse(event) as { unmapped: unknown }).unmapped,
      ]);

    it('although rows name it, with each row named and their number in the log', async () => {
      await insertSealedBy(1);
      await insertSealedBy(2);
      await database.sql('INSERT INTO audit_pending (event_id, leaf_hash, mac) VALUES (gen_random_uuid(), $1, $2)', [
        ...[Buffer.alloc(32), makeSeals(keys).seal({ kind: 'event', parts: [] })],
      ]);
      const [names, rows] = await force();
      expect(names).toEqual([
        expect.stringMatching(/^credential \S+ [0-9a-f-]{36}$/),
        expect.stringMatching(/^audit_pending [0-9a-f-]{36}$/),
      ]);
      expect(rows).toBe(2);
      expect(await readRetired()).toEqual([OLD]);
      expect(await listFacts()).toEqual([['seal-key.force-retire', { seal_key: OLD, rows: 2 }]]);
    });

    it('and name a row that comes at the last moment', async () => {
      const [names, rows] = await force(() => insertSealedBy(1));
      expect([names.length, rows]).toEqual([1, 1]);
      expect(await listFacts()).toEqual([['seal-key.force-retire', { seal_key: OLD, rows: 1 }]]);
    });

    it('not at all when the wait is cut short', async () => {
      await expect(force(() => Promise.reject(new Error('cut short')))).rejects.toThrow('cut short');
      expect(await readRetired()).toEqual([]);
      expect(await listFacts()).toEqual([]);
    });
  });
});
