import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { ServiceProcess } from './support/service-process.js';
import { until } from './support/until.js';

let dataDir: string;
let database: TestDatabase;
let service: ServiceProcess;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  database = await createTestDatabase();
  service = await ServiceProcess.start(dataDir, database.url, { PASSKEY_WORKERS: '2' });
});
afterAll(async () => {
  await service.stop();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

async function readiness(): Promise<{ status: number; worker: { pid: number } & Record<string, unknown> }> {
  const response = await fetch(`${service.managementUrl}/health/ready`);
  const { details } = (await response.json()) as { details: Record<'worker-2', { pid: number }> };
  return { status: response.status, worker: details['worker-2'] };
}

it('readiness says which worker hangs without waiting for it, and the primary is alive', async () => {
  const { pid } = (await readiness()).worker;
  process.kill(pid, 'SIGSTOP');
  try {
    expect(await readiness()).toEqual({
      status: 503,
      worker: {
        status: 'down',
        pid,
        message: 'it does not answer',
        runbook: 'docs/runbook.md#a-worker-dies-or-hangs',
      },
    });
    const metrics = await (await fetch(`${service.managementUrl}/metrics`)).text();
    expect(metrics).toContain('passkey_workers_serving 1\n');
    expect(metrics).toContain('passkey_workers_expected 2\n');
    expect((await fetch(`${service.managementUrl}/health/live`)).status).toBe(200);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(async () => (await readiness()).status === 200);
});
