import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditService } from '../src/audit/audit.service.js';
import { readNotes } from '../src/tlog/checkpoint-trail.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { LogLines } from '../src/audit-log/log-lines.js';
import { LogProofs } from '../src/audit-log/log-proofs.js';
import { Sequencer } from '../src/audit-log/sequencer.js';
import { TestService } from './support/service.js';
import { until as waitUntil } from './support/until.js';

let service: TestService;
let receiver: Server;
let directory: string;
let away = false;
const received: string[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-anchor-'));
  await mkdir(join(directory, 'worm'));
  receiver = createServer((request, response) => {
    void request.toArray().then((chunks) => {
      if (!away) received.push(Buffer.concat(chunks as Buffer[]).toString());
      response.writeHead(away ? 503 : 204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  service = await TestService.start({
    env: {
      PASSKEY_AUDIT_ANCHOR_FILE: join(directory, 'worm', 'notes'),
      PASSKEY_AUDIT_ANCHOR_URL: `http://127.0.0.1:${String((receiver.address() as AddressInfo).port)}/`,
    },
  });
});
afterAll(async () => {
  await service.stop();
  receiver.closeAllConnections();
  receiver.close();
  await rm(directory, { recursive: true, force: true });
});

const of = <T>(type: abstract new (...args: never[]) => T): T => service.running.app.get(type, { strict: false });
const sizeOf = (note = ''): number => Number(note.split('\n')[1] ?? 0);

/** Runs turns of the service, each with an event, until a condition holds. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let turns = 0; !(await holds()); turns += 1) {
    if (turns > 200) throw new Error('the condition did not hold within 200 turns');
    await of(AuditService).record(null, { type: 'policy.reload', outcome: 'success' });
    service.clock.advance(1);
    await of(CheckpointScheduler).tick();
    await sleep(50);
  }
}

const states = (): readonly { anchor: string; size: number; failure: string | undefined }[] =>
  of(CheckpointScheduler).getState().anchors ?? [];
const metric = async (anchor: string): Promise<number> => {
  const text = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
  return Number(
    new RegExp(`passkey_audit_anchored_checkpoint_timestamp_seconds\\{anchor="${anchor}"\\} (\\S+)`).exec(text)?.[1],
  );
};

describe('the anchors of the audit log', () => {
  it('hold the checkpoints that were signed, and the log is compared with them', async () => {
    await until(() => states().every(({ size }) => size > 5) && received.length > 3);
    const { size, note } = await of(LogProofs).getCheckpoint();
    const keys = parseVerifierKeys(of(LogProofs).verifierKeys);
    const places = [
      Readable.from(received.map((text) => Buffer.from(text))),
      createReadStream(join(directory, 'worm', 'notes')),
    ];
    for (const notes of places) {
      const lines = of(LogLines).formatRange({ from: 0, to: size }, { size, note }, null);
      const { anchored } = await verifyExport(lines, keys, { anchored: [readNotes(notes)] });
      expect(anchored?.held).toBeGreaterThan(3);
    }
  });

  it('hold a checkpoint that a turn of their replica did not sign, although no event follows', async () => {
    const { note } = await waitUntil(async () => {
      await of(AuditService).record(null, { type: 'policy.reload', outcome: 'success' });
      return (await of(Sequencer).sequence(true))?.checkpoint;
    });
    await of(CheckpointScheduler).tick();
    await waitUntil(() => received.includes(note));
  });

  it('grow after an export, by its own event at least, and what they hold beyond it is newer, not a cut', async () => {
    const { body } = await service.client.call<string>('auditor', 'GET', '/v1/audit/export');
    const keys = parseVerifierKeys(of(LogProofs).verifierKeys);
    const covered = await verifyExport(Readable.from([Buffer.from(body)]), keys);
    await until(() => states().every(({ size }) => size > covered.checkpoint.size));
    const notes = createReadStream(join(directory, 'worm', 'notes'));
    const proved = await verifyExport(Readable.from([Buffer.from(body)]), keys, { anchored: [readNotes(notes)] });
    expect(proved.anchored?.newer).toBeGreaterThan(0);
    expect(proved.anchored?.held).toBeGreaterThan(3);
  });

  it('are shown in readiness and in the metrics', async () => {
    const body = (await (await fetch(`${service.running.managementUrl}/health/ready`)).json()) as {
      details: { audit: { anchors: unknown } };
    };
    expect(body.details.audit.anchors).toEqual([
      { anchor: 'file', size: expect.any(Number), checkpointAt: expect.stringMatching(/Z$/) },
      { anchor: 'url', size: expect.any(Number), checkpointAt: expect.stringMatching(/Z$/) },
    ]);
    for (const anchor of ['file', 'url']) {
      expect(Math.abs((await metric(anchor)) - service.clock.now().getTime() / 1_000)).toBeLessThan(600);
    }
  });

  it('can fail without failing a request, and the audit log records the failure', async () => {
    const before = received.length;
    away = true;
    await rename(join(directory, 'worm'), join(directory, 'gone'));
    await until(() => states().every(({ failure }) => failure !== undefined));
    expect((await fetch(`${service.running.managementUrl}/health/ready`)).status).toBe(200);
    expect((await service.client.call('operator', 'GET', '/v1/relying-parties')).status).toBe(200);
    expect(of(CheckpointScheduler).getState().failures).toContain('anchor');
    away = false;
    await rename(join(directory, 'gone'), join(directory, 'worm'));
    await until(() => !of(CheckpointScheduler).getState().failures.includes('anchor'));
    expect(sizeOf(received.at(-1))).toBeGreaterThan(sizeOf(received[before - 1]));
    const rows = await service.sql<{ type: string }>(
      'SELECT type FROM audit_event WHERE event LIKE \'%"status_code":"anchor"%\' ORDER BY id',
    );
    expect(rows.map(({ type }) => type)).toEqual(['audit.failure', 'audit.recovery']);
  });
});
