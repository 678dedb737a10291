import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { LOG_TEST_KEYS, StoredLog } from '../../test/support/stored-log.js';
import { LogFault } from './trusted-log.js';
import { type LogKeys, makeLogKeys } from './log-keys.js';
import { type LogSigner, readLogSigners } from '../tlog/keys.js';
import { openCheckpoint } from '../tlog/checkpoint.js';
import { formatNote, parseNote } from '../tlog/signed-note.js';

function createKeys(origin = LOG_TEST_KEYS.origin): LogKeys {
  const pem = (['ed25519', 'ml-dsa-44'] as const).map((algorithm) => {
    const { privateKey } = algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
    return privateKey.export({ type: 'pkcs8', format: 'pem' });
  });
  return makeLogKeys(origin, readLogSigners(pem.join(''), origin));
}

const listPublicKeys = (signers: readonly LogSigner[]) => signers.map(({ key }) => key);

Logger.overrideLogger(false);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(async () => {
  await log.reset();
  for (const count of [5, 300, 6]) {
    await log.replica.record(count);
    await log.replica.settle();
  }
});
afterAll(() => log.close());

const LATEST = '(SELECT max(size) FROM audit_checkpoint)';
const OLDER = '(SELECT min(size) FROM audit_checkpoint)';
const flipByteSql = (column: string) => `set_byte(${column}, 3, get_byte(${column}, 3) # 1)`;
const editSql = (set: string) => `UPDATE audit_checkpoint SET ${set} WHERE size = ${LATEST}`;
const cut = `DELETE FROM audit_checkpoint WHERE size > ${OLDER};
  DELETE FROM audit_leaf WHERE leaf_index >= ${OLDER}; DELETE FROM audit_node`;

/**
 * Each alteration of the log, with the fault that is reported by a process that starts afterwards, and by one that saw
 * the log before.
 */
const ALTERATIONS: [what: string, sql: string, starting: string | undefined, running: string][] = [
  ['the root is another', editSql(`root = ${flipByteSql('root')}`), 'log-altered', 'log-altered'],
  ['the frontier is another', editSql(`frontier = ${flipByteSql('frontier')}`), 'log-altered', 'log-altered'],
  ['the frontier is cut', editSql('frontier = substr(frontier, 1, 32)'), 'log-altered', 'log-altered'],
  ['the note is malformed', editSql(`note = 'x'`), 'log-altered', 'log-altered'],
  ['the note has another root', editSql(`note = overlay(note placing 'AAAA' from 26)`), 'log-altered', 'log-altered'],
  [
    'the note is that of an older checkpoint',
    editSql(`note = (SELECT note FROM audit_checkpoint WHERE size = ${OLDER})`),
    'log-altered',
    'log-altered',
  ],
  ['the time is none', editSql(`created_at = 'infinity'`), 'log-altered', 'log-altered'],
  ['the size is another', editSql('size = size + 1'), 'log-truncated', 'log-truncated'],
  ['the checkpoint is gone', `DELETE FROM audit_checkpoint WHERE size = ${LATEST}`, 'log-altered', 'log-truncated'],
  ['every checkpoint is gone', 'DELETE FROM audit_checkpoint', 'log-truncated', 'log-truncated'],
  [
    'the last leaf is gone',
    'DELETE FROM audit_leaf WHERE leaf_index = (SELECT max(leaf_index) FROM audit_leaf)',
    'log-truncated',
    'log-truncated',
  ],
  [
    'there is one more leaf',
    `INSERT INTO audit_leaf SELECT max(leaf_index) + 1, gen_random_uuid(), sha256('') FROM audit_leaf`,
    'log-altered',
    'log-altered',
  ],
  [
    'the last leaf is of another event',
    'UPDATE audit_leaf SET event_id = gen_random_uuid() WHERE leaf_index = (SELECT max(leaf_index) FROM audit_leaf)',
    'log-altered',
    'log-altered',
  ],
  ['it says that it ends with another event', editSql('last_id = gen_random_uuid()'), 'log-altered', 'log-altered'],
  ['the first leaf is gone', 'DELETE FROM audit_leaf WHERE leaf_index = 0', 'log-altered', 'log-altered'],
  [
    'a leaf was put before the first one',
    `ALTER TABLE audit_leaf DROP CONSTRAINT audit_leaf_index; INSERT INTO audit_leaf VALUES (-1, gen_random_uuid(), sha256(''))`,
    'log-altered',
    'log-altered',
  ],
  [
    'a hash of leaves beyond its end is stored',
    `INSERT INTO audit_node VALUES (16, 3, sha256(''))`,
    'log-altered',
    'log-altered',
  ],
  ['it is the log of some time ago', cut, undefined, 'log-truncated'],
  [
    'it is empty',
    'TRUNCATE audit_event, audit_pending, audit_leaf, audit_node, audit_checkpoint',
    undefined,
    'log-truncated',
  ],
];

/** Runs a turn with a pending event, and returns the kind of its fault. */
async function findFault(replica = log.replica): Promise<string | undefined> {
  await replica.record(1);
  try {
    await replica.sequencer.sequence(true);
    return undefined;
  } catch (error) {
    if (error instanceof LogFault) return error.kind;
    throw error;
  }
}

describe('a log is not continued when', () => {
  it.each(ALTERATIONS)('%s', async (_, sql, starting, running) => {
    await log.sql(sql);
    const count = () => log.sql('SELECT count(*) FROM audit_checkpoint');
    const before = await count();
    expect(await findFault()).toBe(running);
    if (starting) expect(await findFault(log.newReplica())).toBe(starting);
    expect(await count()).toEqual(before);
  });

  it.each([
    ['as long', 311 - 5],
    ['longer', 400],
  ])('another process continued an older state of it, until it was %s', async (_, count) => {
    await log.sql(cut);
    await log.sql('DELETE FROM audit_node');
    const other = log.newReplica();
    await other.record(count);
    await other.settle();
    expect((await other.storage.findLatestCheckpoint())?.size).toBe(5 + count);
    await other.record(1);
    await other.settle();
    for (let turn = 0; turn < 2; turn += 1) expect(await findFault()).toBe('log-truncated');
    // A process that has not seen the older state can detect this only by checkpoints that are kept elsewhere.
    expect(await findFault(log.newReplica())).toBeUndefined();
  });

  it('the next entry exists already', async () => {
    const [{ size } = { size: 0 }] = await log.sql<{ size: number }>(`SELECT ${LATEST}::integer AS size`);
    await log.sql(`INSERT INTO audit_node VALUES (8, ${String(Math.ceil(size / 256) - 1)}, sha256(''))`);
    await log.replica.record(512 - size);
    expect(await findFault()).toBe('log-altered');
  });
});

describe('a log is continued', () => {
  it('by a process that starts, and by one whose checkpoint another replica has followed', async () => {
    const other = log.newReplica();
    await other.record(1);
    await other.settle();
    await log.replica.record(1);
    expect(await findFault()).toBeUndefined();
    expect(await findFault(log.newReplica())).toBeUndefined();
  });

  it('after an alteration was undone', async () => {
    await log.sql(editSql(`root = ${flipByteSql('root')}`));
    expect(await findFault()).toBe('log-altered');
    await log.sql(editSql(`root = ${flipByteSql('root')}`));
    expect(await findFault()).toBeUndefined();
  });
});

describe('after a change of keys the log', () => {
  const keys = createKeys();
  const former = listPublicKeys(LOG_TEST_KEYS.signers);

  it('is not continued by keys that the earlier ones do not know', async () => {
    expect(await findFault(log.newReplica(keys))).toBe('log-altered');
  });

  it('is continued when the key file names the earlier keys, and by both while replicas are replaced', async () => {
    const [one, other] = [
      log.newReplica({ ...keys, former }),
      log.newReplica({ ...LOG_TEST_KEYS, former: listPublicKeys(keys.signers) }),
    ];
    for (const replica of [other, one, other, one]) {
      await replica.record(1);
      await replica.settle();
    }
    const latest = await log.replica.storage.findLatestCheckpoint();
    // One of the five new events is the record of the change.
    expect(openCheckpoint(latest?.note ?? '', listPublicKeys(keys.signers)).size).toBe(316);
  });

  it('is not continued when one of the earlier keys’ signatures is removed', async () => {
    const latest = await log.replica.storage.findLatestCheckpoint();
    const { text, signatures } = parseNote(latest?.note ?? '');
    for (const kept of [0, 1]) {
      await log.sql(`UPDATE audit_checkpoint SET note = $1 WHERE size = ${LATEST}`, [
        formatNote({ text, signatures: [signatures[kept]!] }),
      ]);
      expect(await findFault(log.newReplica({ ...keys, former }))).toBe('log-altered');
    }
  });

  it('is not continued under another name', async () => {
    const others = createKeys('passkey-manager/other');
    const renamed = { ...others, former };
    expect(await findFault(log.newReplica(renamed))).toBe('log-altered');
  });
});
