import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { openCheckpoint } from '../src/tlog/checkpoint.js';
import { readNotes } from '../src/tlog/checkpoint-trail.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { parseVerifierKeys, readLogSigners, type VerifierKey } from '../src/tlog/keys.js';
import { verifyEvent } from '../src/tlog/proof-documents.js';
import { AuditLog } from './support/audit-log.js';
import { makeKeyFile } from './support/sample-log.js';
import { TestService } from './support/service.js';

const [OLD, NEW] = [makeKeyFile(), makeKeyFile()];

let directory: string;
/** Replicas on one database, in the order in which they start: old keys, new and old keys, new keys alone. */
const replicas: TestService[] = [];
let oldKeys: VerifierKey[];
let newKeys: VerifierKey[];
let oldExport: string;

const get = async <Body = string>({ client }: TestService, path: string): Promise<Body> =>
  (await client.call<Body>('auditor', 'GET', `/v1/audit/${path}`)).body;

async function start(name: string, keys: string): Promise<TestService> {
  await writeFile(join(directory, name), keys);
  const first = replicas.at(0);
  const replica = await TestService.start({
    ...(first && { databaseUrl: () => Promise.resolve(first.database.url), clock: first.clock }),
    env: {
      ...(first && { PASSKEY_BINDING_KEY_FILE: join(dirname(first.pki.directory), 'binding.key') }),
      PASSKEY_AUDIT_KEY_FILE: join(directory, name),
      PASSKEY_AUDIT_ANCHOR_FILE: join(directory, `${name}.notes`),
    },
  });
  replicas.push(replica);
  return replica;
}

/** Makes events and turns until the replica has signed and anchored a checkpoint of its own. */
async function anchor(replica: TestService): Promise<void> {
  const scheduler = replica.running.app.get(CheckpointScheduler, { strict: false });
  const getSize = (): number => scheduler.getState().anchors?.[0]?.size ?? 0;
  const before = getSize();
  for (let turns = 0; getSize() <= before; turns += 1) {
    if (turns > 200) throw new Error('nothing was anchored within 200 turns');
    await replica.client.call('auditor', 'GET', '/v1/audit/events?limit=1');
    replica.clock.advance(2);
    await scheduler.tick();
    await sleep(50);
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-rekey-'));
  const old = await start('old', OLD);
  oldKeys = parseVerifierKeys(await get(old, 'key'));
  await anchor(old);
  oldExport = await get(old, 'export');
  const both = await start('both', NEW + OLD);
  newKeys = parseVerifierKeys(await get(both, 'key'));
  for (const replica of [both, old, both]) await anchor(replica);
  await old.running.stop();
  await anchor(both);
  await anchor(await start('new', NEW));
}, 120_000);
afterAll(async () => {
  for (const replica of replicas.reverse()) await replica.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Starts a replica on the log whose newest checkpoint the new keys have signed, and stops it. */
const startOn = async (settings: NodeJS.ProcessEnv, keys = NEW): Promise<void> => {
  await writeFile(join(directory, 'tried'), keys);
  const env = { PASSKEY_AUDIT_KEY_FILE: join(directory, 'tried'), ...settings };
  await (await replicas[0]!.startReplica(undefined, env)).stop();
};

describe('a start ends with a sentence, before it records anything,', () => {
  const countStarts = async (): Promise<number> =>
    (await new AuditLog(replicas[2]!.client).events({ type: 'service.start' })).length;

  const [, mlDsaKey] = NEW.split(/^(?=-----BEGIN)/m);
  const [otherEd25519Key] = makeKeyFile().split(/^(?=-----BEGIN)/m);
  it.each<[what: string, keys: string]>([
    ['other keys', makeKeyFile()],
    ['another key of one algorithm', otherEd25519Key! + mlDsaKey!],
    ['no key of one algorithm, and another one of the other', otherEd25519Key!],
  ])('if its audit key file has %s', async (_, keys) => {
    const before = await countStarts();
    const refused: unknown = await startOn({}, keys).catch((error: unknown) => error);
    const [signed, held] = String(refused).split('but PASSKEY_AUDIT_KEY_FILE has');
    for (const { keyId } of newKeys) expect(signed).toContain(keyId);
    for (const { key } of readLogSigners(keys, 'passkey-manager/default')) expect(held).toContain(key.keyId);
    expect(await countStarts()).toBe(before);
  });

  it('if PASSKEY_DEPLOYMENT_NAME is another', async () => {
    const before = await countStarts();
    await expect(startOn({ PASSKEY_DEPLOYMENT_NAME: 'eu-1' })).rejects.toThrow(
      /is of passkey-manager\/default, but PASSKEY_DEPLOYMENT_NAME makes this log passkey-manager\/eu-1: set the name back/,
    );
    expect(await countStarts()).toBe(before);
  });
});

describe('after the audit key was replaced, replica by replica', () => {
  it('the log says so once, with the ids of the old and the new keys', async () => {
    const events = await new AuditLog(replicas[2]!.client).events({ type: 'audit.rekey' });
    const listIds = (keys: readonly VerifierKey[]): string[] => keys.map(({ name, keyId }) => `${name}+${keyId}`);
    expect(events).toMatchObject([
      {
        class_uid: 6003,
        activity_id: 3,
        status_id: 1,
        unmapped: { old_keys: listIds(oldKeys), new_keys: listIds(newKeys), old_keys_sign: true },
      },
    ]);
  });

  it('an export contains what was anchored before, during and after, each by the keys of its time', async () => {
    const exported = await get(replicas[2]!, 'export');
    for (const name of ['old', 'both', 'new']) {
      const notes = readNotes(createReadStream(join(directory, `${name}.notes`)));
      const once = Readable.from([Buffer.from(exported)]);
      const { anchored } = await verifyExport(once, newKeys, { former: [oldKeys], anchored: [notes] });
      expect(anchored?.held).toBeGreaterThan(0);
    }
  });

  it('an export from before verifies as it did', async () => {
    const once = (): Readable => Readable.from([Buffer.from(oldExport)]);
    const alone = await verifyExport(once(), oldKeys);
    expect(await verifyExport(once(), newKeys, { former: [oldKeys] })).toMatchObject({ to: alone.to });
  });

  it('the checkpoint, the keys and the proofs of old events are those of the new keys', async () => {
    const replica = replicas[2]!;
    await anchor(replica);
    expect(parseVerifierKeys(await get(replica, 'key')).map(({ keyId }) => keyId)).toEqual(
      newKeys.map(({ keyId }) => keyId),
    );
    expect(openCheckpoint(await get(replica, 'checkpoint'), newKeys).size).toBeGreaterThan(0);
    const [first] = (await new AuditLog(replica.client).events({ type: 'service.start' })).slice(-1);
    const path = `events/${first!.metadata.uid}`;
    const [event, proof] = [await get<object>(replica, path), await get<object>(replica, `${path}/proof`)];
    expect(verifyEvent(JSON.stringify(event), JSON.stringify(proof), newKeys)).toMatchObject({ type: 'service.start' });
  });
});
