import { appendFile, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeKeyFile } from '../../test/support/sample-log.js';
import { LOG_TEST_KEYS, type LogReplica, StoredLog } from '../../test/support/stored-log.js';
import { readLogSigners } from '../tlog/keys.js';
import { AnchorFile } from '../anchors/anchor-targets.js';
import { makeLogKeys } from './log-keys.js';
import { formatKnown, type KnownCheckpoint, LogMemory } from './log-memory.js';
import { LogFault } from './trusted-log.js';

Logger.overrideLogger(false);

let log: StoredLog;
let directory: string;
let path: string;
beforeAll(async () => {
  log = await StoredLog.open();
});
beforeEach(async () => {
  await log.reset();
  directory = await mkdtemp(join(tmpdir(), 'passkey-memory-'));
  path = join(directory, 'anchors');
});
afterEach(() => rm(directory, { recursive: true, force: true }));
afterAll(() => log.close());

const remember = (...lost: KnownCheckpoint[]): LogMemory =>
  LogMemory.read({ auditAnchorFile: path, auditLostCheckpoints: lost }, LOG_TEST_KEYS);

/** Sequences events in one batch, and anchors its checkpoint. */
async function anchor(count: number, replica = log.replica): Promise<void> {
  await replica.record(count);
  await replica.settle();
  await new AnchorFile(path).deliver((await replica.storage.findLatestCheckpoint())!.note);
}

/** Takes the database back to its first leaves. */
async function restore(size: number): Promise<void> {
  await log.sql(`DELETE FROM audit_checkpoint WHERE size > ${String(size)}`);
  await log.sql(`DELETE FROM audit_leaf WHERE leaf_index >= ${String(size)}`);
  await log.sql('DELETE FROM audit_event e WHERE NOT EXISTS (SELECT FROM audit_leaf WHERE event_id = e.id)');
}

/** Runs a turn with a pending event. @returns the fault that it ended in */
async function turn(replica: LogReplica): Promise<LogFault | undefined> {
  await replica.record(1);
  return replica.sequencer.sequence(true).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof LogFault) return error;
      throw error;
    },
  );
}

const startReplica = (...lost: KnownCheckpoint[]): LogReplica => log.newReplicaWith(remember(...lost));

async function listRestorations(): Promise<unknown[]> {
  const rows = await log.sql<{ event: string }>(
    `SELECT event FROM audit_event WHERE type = 'audit.restore' ORDER BY id`,
  );
  return rows.map(({ event }) => (JSON.parse(event) as { unmapped: unknown }).unmapped);
}

describe('a process that starts with an anchor file', () => {
  it('continues the log whose last checkpoint the file has, and one that has grown since', async () => {
    expect(remember().anchored).toBeUndefined();
    await anchor(5);
    expect(remember().anchored?.size).toBe(5);
    expect(await turn(startReplica())).toBeUndefined();
    expect(await turn(startReplica())).toBeUndefined();
    expect(await listRestorations()).toEqual([]);
  });

  it.each([
    ['is shorter', 0],
    ['has grown again to the same size', 7],
    ['has grown again beyond it', 20],
  ])('does not continue a log that was restored and %s, and names the checkpoint', async (_, since) => {
    await anchor(5);
    await anchor(7);
    const newest = formatKnown(remember().anchored!);
    await restore(5);
    const forgetful = log.newReplica();
    await forgetful.record(since);
    await forgetful.settle();
    const fault = await turn(startReplica());
    expect(fault?.kind).toBe('log-truncated');
    expect(fault?.message).toContain(`the anchor file ends with the checkpoint "${newest}"`);
    expect((await log.replica.storage.findLatestCheckpoint())?.size).toBe(5 + since);
  });

  it('says that the log is shorter before its first turn, and so before it answers a caller', async () => {
    await anchor(5);
    await anchor(7);
    await restore(5);
    const { keeper } = startReplica();
    await keeper.onApplicationBootstrap();
    const { failures, cause } = keeper.getState();
    await keeper.onModuleDestroy();
    expect(failures).toEqual(['log-truncated']);
    expect(cause?.error).toContain(
      'the log had 12 leaves and now has 5: the anchor file ends with the checkpoint "12 ',
    );
  });

  it('says nothing before its first turn of a log that has what was anchored', async () => {
    await anchor(5);
    const { keeper } = startReplica();
    await keeper.onApplicationBootstrap();
    const { failures, cause } = keeper.getState();
    await keeper.onModuleDestroy();
    expect({ failures, cause }).toEqual({ failures: [], cause: undefined });
  });

  it('does not continue an empty log', async () => {
    await anchor(5);
    await restore(0);
    expect((await turn(startReplica()))?.kind).toBe('log-truncated');
  });

  it('still checks the signature of a checkpoint that has the size of the anchored one', async () => {
    await anchor(5);
    await log.sql(`UPDATE audit_checkpoint SET note = 'x'`);
    expect((await turn(startReplica()))?.kind).toBe('log-altered');
  });
});

describe('a restored log', () => {
  it('is continued when the operator names the lost checkpoint, and says so once', async () => {
    await anchor(5);
    const kept = remember().anchored!;
    await anchor(7);
    const lost = remember().anchored!;
    await restore(5);
    const replica = startReplica(lost);
    await anchor(1, replica);
    const told = { lost_checkpoint: formatKnown(lost), continued_checkpoint: formatKnown(kept) };
    expect(await listRestorations()).toEqual([told]);
    for (const setting of [[lost], []]) {
      expect(await turn(startReplica(...setting))).toBeUndefined();
      expect(await listRestorations()).toEqual([told]);
    }
  });

  it('is not continued when the operator names another checkpoint', async () => {
    await anchor(5);
    await anchor(7);
    const { size, root } = remember().anchored!;
    await restore(5);
    for (const other of [
      { size: size - 1, root },
      { size, root: Buffer.alloc(32) },
    ])
      expect((await turn(startReplica(other)))?.kind).toBe('log-truncated');
    expect(await listRestorations()).toEqual([]);
  });

  it('may lose more later, and names each lost checkpoint', async () => {
    await anchor(5);
    const losses: KnownCheckpoint[] = [];
    for (const count of [7, 9]) {
      await anchor(count, startReplica(...losses.slice(-1)));
      losses.push(remember().anchored!);
      await restore(5);
    }
    await anchor(1, startReplica(...losses.slice(-1)));
    expect(await listRestorations()).toMatchObject([{ lost_checkpoint: formatKnown(losses[1]!) }]);
  });

  it('is continued by each replica when their anchor files end with different checkpoints', async () => {
    await anchor(5);
    await anchor(7);
    const one = remember().anchored!;
    await anchor(1);
    const other = remember().anchored!;
    await restore(5);
    for (const lost of [
      [one, other],
      [other, one],
    ])
      expect(await turn(startReplica(...lost))).toBeUndefined();
    expect(await listRestorations()).toMatchObject([{ lost_checkpoint: formatKnown(other) }]);
  });

  it('that lacks nothing of the named checkpoint gets no event', async () => {
    await anchor(5);
    const named = remember().anchored!;
    expect(await turn(startReplica(named))).toBeUndefined();
    expect(await listRestorations()).toEqual([]);
  });
});

describe('the end of an anchor file', () => {
  it('may be torn: the note before it counts', async () => {
    await anchor(5);
    await anchor(2);
    await appendFile(path, 'passkey-manager/te');
    expect(remember().anchored?.size).toBe(7);
    await truncate(path, (await log.replica.storage.findLatestCheckpoint())!.note.length + 200);
    expect(remember().anchored?.size).toBe(5);
  });

  it('is found in a long file', async () => {
    await writeFile(path, `${'x'.repeat(2 ** 20)}\n`);
    await anchor(5);
    expect(remember().anchored?.size).toBe(5);
  });

  it.each([
    ['the file is empty', ''],
    ['the file holds no note', 'hello\n\nworld\n'],
  ])('says nothing when %s', async (_, content) => {
    await writeFile(path, content);
    expect(remember().anchored).toBeUndefined();
    const damaged = content === '' ? undefined : 'the anchor file ends with no checkpoint that our keys have signed';
    expect(remember().forgotten).toBe(damaged);
  });

  it('says nothing when other keys have signed it, or it is of another log', async () => {
    await anchor(5);
    const { origin } = LOG_TEST_KEYS;
    const others = makeLogKeys(origin, readLogSigners(makeKeyFile(), origin));
    expect(LogMemory.read({ auditAnchorFile: path }, others)).toMatchObject({
      anchored: undefined,
      forgotten: expect.stringContaining('no checkpoint that our keys have signed'),
    });
    const renamed = { ...LOG_TEST_KEYS, origin: 'passkey-manager/other' };
    expect(LogMemory.read({ auditAnchorFile: path }, renamed).anchored).toBeUndefined();
  });

  it('is not read from something that is no file', () => {
    const { anchored, forgotten } = LogMemory.read({ auditAnchorFile: directory }, LOG_TEST_KEYS);
    expect([anchored, forgotten]).toEqual([undefined, 'the anchor file cannot be read: it is not a regular file']);
  });

  it('cannot be read through links that lead nowhere, and the reason is kept', async () => {
    await symlink(path, path);
    expect(remember().forgotten).toMatch(/^the anchor file cannot be read: ELOOP/);
  });
});

describe('what was anchored before a start is', () => {
  const auditAnchorUrl = 'https://anchors.example/';

  it('forgotten with an anchor URL alone, and readiness says so', () => {
    const memory = LogMemory.read({ auditAnchorUrl }, LOG_TEST_KEYS);
    expect(memory.forgotten).toBe('only PASSKEY_AUDIT_ANCHOR_FILE is read at a start, and it is not set');
    expect(log.newReplicaWith(memory).keeper.getState().forgotten).toBe(memory.forgotten);
  });

  it.each<[string, object]>([
    ['there is a file besides the URL', { auditAnchorUrl }],
    ['the file is given up as lost', { auditLostCheckpoints: 'the last' }],
  ])('not forgotten if %s', async (_, config) => {
    await anchor(5);
    const lost = 'auditLostCheckpoints' in config ? [remember().anchored!] : [];
    const read = LogMemory.read({ ...config, auditAnchorFile: path, auditLostCheckpoints: lost }, LOG_TEST_KEYS);
    expect([read.forgotten, read.anchored === undefined]).toEqual([undefined, lost.length > 0]);
  });

  it('nothing without an anchor', () => {
    expect(LogMemory.read({}, LOG_TEST_KEYS).forgotten).toBeUndefined();
  });
});
