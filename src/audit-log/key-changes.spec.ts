import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeKeyFile } from '../../test/support/sample-log.js';
import { LOG_TEST_KEYS, type LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { KeyHistory } from '../tlog/key-history.js';
import {
  formatVerifierKey,
  parseVerifierKeys,
  readLogSigners,
  readPublicKeys,
  type VerifierKey,
} from '../tlog/keys.js';
import { parseNote } from '../tlog/signed-note.js';
import { type ProvedExport, verifyExport } from '../tlog/export-verifier.js';
import { type LogKeys, makeLogKeys } from './log-keys.js';

Logger.overrideLogger(false);

const { origin } = LOG_TEST_KEYS;
const readKeys = (...files: string[]): LogKeys => {
  const file = files.join('');
  return makeLogKeys(origin, readLogSigners(file, origin), readPublicKeys(file, origin));
};
const [OLD_FILE, NEW_FILE, THIRD_FILE] = [makeKeyFile(), makeKeyFile(), makeKeyFile()];
const [OLD, BOTH, NEW] = [readKeys(OLD_FILE), readKeys(NEW_FILE, OLD_FILE), readKeys(NEW_FILE)];
const list = ({ verifierKeys }: LogKeys): VerifierKey[] => parseVerifierKeys(verifierKeys);
const listIds = (keys: LogKeys): string[] => list(keys).map(({ name, keyId }) => `${name}+${keyId}`);

let log: StoredLog;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(() => log.reset());
afterAll(() => log.close());

async function work(replica: LogReplica): Promise<void> {
  await replica.record(1);
  await replica.settle();
}

/** The facts of each recorded change of keys, oldest first. */
async function listChanges(): Promise<unknown[]> {
  const rows = await log.sql<{ event: string }>(`SELECT event FROM audit_event WHERE type = 'audit.rekey' ORDER BY id`);
  return rows.map(({ event }) => (JSON.parse(event) as { unmapped: unknown }).unmapped);
}

/** The key ids of each checkpoint, oldest first. */
async function listSigners(): Promise<string[][]> {
  const notes = await listNotes();
  return notes.map((note) => parseNote(note).signatures.map(({ name, keyId }) => `${name}+${keyId}`));
}

async function listNotes(): Promise<string[]> {
  return (await log.sql<{ note: string }>('SELECT note FROM audit_checkpoint ORDER BY size')).map(({ note }) => note);
}

/** Exports the log, and verifies it against every checkpoint. */
async function prove(keys: LogKeys, former: readonly LogKeys[]): Promise<ProvedExport> {
  const { size, note } = (await log.replica.storage.findLatestCheckpoint())!;
  const lines = log.replica.lines.formatRange({ from: 0, to: size }, { size, note }, null);
  const anchored = Readable.from(await listNotes());
  return verifyExport(lines, list(keys), { former: former.map(list), anchored: [anchored] });
}

describe('a change of the audit key', () => {
  it('by the runbook is recorded once, both keys sign it, and every checkpoint verifies with the keys of its time', async () => {
    const [one, other] = [log.newReplica(OLD), log.newReplica(OLD)];
    for (const replica of [one, other]) await work(replica);
    const [newOne, newOther] = [log.newReplica(BOTH), log.newReplica(BOTH)];
    for (const replica of [newOne, other, newOne, newOther, newOne]) await work(replica);
    for (const replica of [log.newReplica(NEW), newOther, log.newReplica(NEW)]) await work(replica);
    expect(await listChanges()).toEqual([{ old_keys: listIds(OLD), new_keys: listIds(NEW), old_keys_sign: true }]);
    const [before, during, after] = [listIds(OLD), [...listIds(NEW), ...listIds(OLD)], listIds(NEW)];
    expect(await listSigners()).toEqual([
      ...[before, before],
      ...[during, before, during, during, during],
      ...[after, during, after],
    ]);
    expect(await prove(NEW, [OLD])).toMatchObject({ events: 11, anchored: { held: 10, newer: 0 } });
    await expect(prove(NEW, [])).rejects.toThrow('lacks the ed25519 signature');
    await expect(prove(OLD, [])).rejects.toThrow('lacks the ed25519 signature');
  });

  it('is in the checkpoint that both keys sign first', async () => {
    await work(log.newReplica(OLD));
    await work(log.newReplica(BOTH));
    const rows = await log.sql<{ index: number }>(
      `SELECT leaf_index::integer AS index FROM audit_leaf JOIN audit_event ON id = event_id WHERE type = 'audit.rekey'`,
    );
    const [last] = (await listNotes()).slice(-1);
    const { size } = new KeyHistory(list(OLD)).open(last!);
    expect(new KeyHistory(list(NEW)).open(last!).size).toBe(size);
    expect(rows).toEqual([{ index: expect.any(Number) }]);
    expect(rows[0]!.index).toBeGreaterThan(0);
    expect(rows[0]!.index).toBeLessThan(size);
  });

  it.each([
    [
      'PEM',
      list(OLD)
        .map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))
        .join(''),
    ],
    [
      'verifier keys, as in audit.pub',
      list(OLD)
        .map((key) => `${formatVerifierKey(key)}\n`)
        .join(''),
    ],
  ])(
    'whose old private keys are lost says so, and the new keys alone sign: public parts as %s',
    async (_, publicKeys) => {
      const lost = readKeys(NEW_FILE, publicKeys);
      await work(log.newReplica(OLD));
      await work(log.newReplica(lost));
      await work(log.newReplica(NEW));
      expect(await listChanges()).toEqual([{ old_keys: listIds(OLD), new_keys: listIds(NEW), old_keys_sign: false }]);
      expect(await listSigners()).toEqual([listIds(OLD), listIds(NEW), listIds(NEW)]);
      expect(await prove(NEW, [OLD])).toMatchObject({ events: 4, anchored: { held: 3 } });
    },
  );

  it('is recorded once by replicas that start at once', async () => {
    await work(log.newReplica(OLD));
    const replicas = [1, 2, 3, 4].map(() => log.newReplica(BOTH));
    await Promise.all(replicas.map((replica) => replica.record(1)));
    await Promise.all(replicas.map(({ sequencer }) => sequencer.sequence(true)));
    await log.newReplica(BOTH).settle();
    expect(await listChanges()).toHaveLength(1);
    expect(await prove(NEW, [OLD])).toMatchObject({ events: 6 });
  });

  it('is recorded again for other keys, and for a return to keys of the past', async () => {
    const [third, back] = [readKeys(THIRD_FILE, NEW_FILE), readKeys(OLD_FILE, THIRD_FILE)];
    for (const keys of [OLD, BOTH, NEW, third, back]) await work(log.newReplica(keys));
    expect(await listChanges()).toEqual([
      expect.objectContaining({ old_keys: listIds(OLD), new_keys: listIds(NEW) }),
      expect.objectContaining({ old_keys: listIds(NEW), new_keys: listIds(third) }),
      expect.objectContaining({ old_keys: listIds(third), new_keys: listIds(OLD) }),
    ]);
    expect(await prove(OLD, [OLD, NEW, third])).toMatchObject({ events: 8 });
  });

  it('is recorded when the first batch of a process fails, by the next one', async () => {
    await work(log.newReplica(OLD));
    const replica = log.newReplica(BOTH);
    await replica.record(1);
    await log.sql('ALTER TABLE audit_checkpoint ADD CONSTRAINT short CHECK (size < 2)');
    await expect(replica.sequencer.sequence(true)).rejects.toThrow();
    expect(await listChanges()).toEqual([]);
    await log.sql('ALTER TABLE audit_checkpoint DROP CONSTRAINT short');
    await replica.settle();
    expect(await listChanges()).toHaveLength(1);
  });

  it('is not recorded for the first keys of a log, nor for a process that starts with the same keys', async () => {
    for (const keys of [OLD, OLD, OLD]) await work(log.newReplica(keys));
    expect(await listChanges()).toEqual([]);
  });
});
