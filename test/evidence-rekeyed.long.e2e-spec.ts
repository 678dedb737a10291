import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { RunningService } from '../src/app/start-service.js';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import type { Client } from './support/client.js';
import { requireStatus } from './support/ceremonies.js';
import { makeKeyFile } from './support/sample-log.js';
import { type DevelopmentIdentity, TestService } from './support/service.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'passkey-evidence-rekeyed-'));
const path = (name: string): string => join(DIRECTORY, name);
const [FIRST, SECOND, THIRD] = [makeKeyFile(), makeKeyFile(), makeKeyFile()];

let service: TestService;

/** Makes events until the replica has anchored a checkpoint that it signed. */
async function anchor({ running, client }: { running: RunningService; client: Client }): Promise<void> {
  const scheduler = running.app.get(CheckpointScheduler, { strict: false });
  const getSize = (): number => scheduler.getState().anchors?.[0]?.size ?? 0;
  for (let turns = 0; getSize() === 0; turns += 1) {
    if (turns > 200) throw new Error('nothing was anchored within 200 turns');
    await client.call('auditor' satisfies DevelopmentIdentity, 'GET', '/v1/audit/events?limit=1');
    service.clock.advance(2);
    await scheduler.tick();
    await sleep(50);
  }
}

/** Writes the settings of a start with these keys. */
function setKeys(name: string, keys: string): NodeJS.ProcessEnv {
  writeFileSync(path(name), keys);
  return { PASSKEY_AUDIT_KEY_FILE: path(name), PASSKEY_AUDIT_ANCHOR_FILE: path('anchored') };
}

async function keepKeys(name: string, client: Client): Promise<void> {
  writeFileSync(path(name), requireStatus(await client.call<string>('auditor', 'GET', '/v1/audit/key'), 200));
}

beforeAll(async () => {
  service = await TestService.start({ env: setKeys('keys-1', FIRST) });
  await anchor(service);
  await keepKeys('first.pub', service.client);
  await service.running.stop();
  const files = [SECOND + FIRST, SECOND, THIRD + SECOND, THIRD];
  for (const [at, keys] of files.entries()) {
    const replica = await service.startReplica(undefined, setKeys(`keys-${String(at + 2)}`, keys));
    await anchor(replica);
    await keepKeys(at < 2 ? 'second.pub' : 'third.pub', replica.client);
    await replica.stop();
  }
}, 120_000);
afterAll(async () => {
  await service.stop();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

function collect(out: string, ...args: string[]): Promise<{ code: number; stderr: string }> {
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: service.database.auditorUrl,
    PASSKEY_DATA_DIR: service.dataDir,
    ...setKeys('keys-5', THIRD),
  };
  const node = ['--disable-warning=ExperimentalWarning', 'dist/commands/evidence.js', '--out', path(out)];
  return new Promise((resolve) => {
    execFile(process.execPath, [...node, ...args], { env }, (failed, _stdout, stderr) => {
      resolve({ code: failed ? Number(failed.code) : 0, stderr });
    });
  });
}

it('evidence of a log whose keys were changed twice verifies with the keys of all times, and says since when the keys are in use', async () => {
  const keys = ['first.pub', 'second.pub', 'third.pub'].flatMap((file) => ['--key', path(file)]);
  expect(await collect('all', ...keys)).toEqual({ code: 0, stderr: '' });
  const log = JSON.parse(readFileSync(join(path('all'), 'audit-log.json'), 'utf8')) as {
    anchors: { checkpointsThatMatch: number };
  };
  expect(log.anchors.checkpointsThatMatch).toBeGreaterThan(4);
  const { keys: held } = JSON.parse(readFileSync(join(path('all'), 'key-ages.json'), 'utf8')) as {
    keys: { what: string; source: string }[];
  };
  expect(held.filter(({ what }) => what === 'signs the audit log').map(({ source }) => source)).toEqual([
    ...['the event audit.rekey', 'the event audit.rekey'],
  ]);
});

it('evidence of such a log is at fault with the present keys alone, and names the checkpoint', async () => {
  const { code, stderr } = await collect('present');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^The audit log does not verify: .*checkpoint/),
  });
});
