import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/config/clock.js';
import { prepareDevelopment } from '../dev/prepare-development.js';
import { findFreePort } from '../dev/embedded-postgres/postmaster.js';
import { Ceremonies } from './support/ceremonies.js';
import { Client } from './support/client.js';
import { Contract } from './support/contract.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { Pki } from './support/pki.js';
import { until } from './support/until.js';

let dataDir: string;
let database: TestDatabase;
let child: ChildProcess;
let management: string;
let client: Client<'auth-service'>;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  database = await createTestDatabase();
  await prepareDevelopment(dataDir);
});
afterEach(async () => {
  client.close();
  child.kill('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
});
afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

/** Starts the built service with the log of production, a line for each request. */
async function start(output: number | 'pipe', workers: number): Promise<void> {
  const [httpsPort, managementPort] = [await findFreePort(), await findFreePort()];
  const file = (name: string): string => join(dataDir, name);
  child = spawn(process.execPath, ['dist/src/main.js'], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      PASSKEY_ALLOW_DEVELOPMENT: 'true',
      DATABASE_URL: database.url,
      PASSKEY_WORKERS: String(workers),
      PASSKEY_HTTPS_PORT: String(httpsPort),
      PASSKEY_MANAGEMENT_PORT: String(managementPort),
      PASSKEY_TLS_CERT_FILE: file('pki/server.crt'),
      PASSKEY_TLS_KEY_FILE: file('pki/server.key'),
      PASSKEY_TLS_CA_FILE: file('pki/ca.crt'),
      PASSKEY_TLS_CRL_FILE: file('pki/ca.crl'),
      PASSKEY_ACCESS_POLICY_FILE: file('access-policy.yaml'),
      PASSKEY_AUDIT_KEY_FILE: file('audit.key'),
      PASSKEY_BINDING_KEY_FILE: file('binding.key'),
    },
    stdio: ['ignore', output, output],
  });
  management = `http://127.0.0.1:${String(managementPort)}`;
  const pki = new Pki(file('pki'));
  const url = `https://127.0.0.1:${String(httpsPort)}`;
  client = new Client(url, pki.ca, (identity) => pki.certificateOf(identity), Contract.load());
  await until(async () => (await readiness()).status === 200);
}

async function readiness(): Promise<{ status: number; details: Record<string, Record<string, unknown>> }> {
  if (child.exitCode !== null) throw new Error(`the service ended with ${String(child.exitCode)}`);
  const response = await fetch(`${management}/health/ready`).catch(() => undefined);
  const body = (await response?.json()) as { details: Record<string, Record<string, unknown>> } | undefined;
  return { status: response?.status ?? 0, details: body?.details ?? {} };
}

/** Reads the state of the processes' logs. */
async function logs(): Promise<unknown[]> {
  const { details } = await readiness();
  return details['log'] ? [details['log']] : [details['worker-1']?.['log'], details['worker-2']?.['log']];
}

async function linesLost(): Promise<number> {
  const text = await (await fetch(`${management}/metrics`)).text();
  return Number(/^passkey_log_lines_lost_total (\d+)$/m.exec(text)?.[1]);
}

/** Requests until each process has answered and logged, because connections go to the workers in turn. */
async function serveAndLose(failures: string[]): Promise<void> {
  const ceremonies = new Ceremonies(
    client,
    systemClock,
    'auth-service',
    'login.example.com',
    'https://login.example.com',
  );
  await until(async () => {
    expect((await ceremonies.requestAuthentication()).status).toBe(404);
    client.close();
    const seen = (await logs()) as { lost?: number; failure?: string }[];
    return seen.every(({ lost = 0, failure = '' }) => lost > 0 && failures.includes(failure));
  });
  expect(await linesLost()).toBeGreaterThan(0);
  expect(child.exitCode).toBeNull();
}

const onLinux = process.platform === 'linux' ? describe : describe.skip;

it('a reload writes one line, with the file that changed and the digests of its content', async () => {
  await start('pipe', 1);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const policy = join(dataDir, 'access-policy.yaml');
  const before = (await readiness()).details['access_policy']!['digest'];
  await appendFile(policy, 'deny:\n  - { serial: "17" }\n');
  await until(() => Promise.resolve(output.includes('reloaded')));
  const lines = output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as object] : []));
  expect(lines.filter((line) => 'files' in line)).toMatchObject([
    { level: 30, msg: 'access policy reloaded', files: [policy], facts: { previous_digest: before } },
  ]);
});

onLinux.each([
  ['one process', 1],
  ['two workers', 2],
])('%s', (_, workers) => {
  it('the service starts, serves and counts the lines that it loses when its output is on a full disk', async () => {
    const full = openSync('/dev/full', 'w');
    await start(full, workers);
    closeSync(full);
    await serveAndLose(['ENOSPC']);
  });

  it('the service goes on when the reader of its output is gone', async () => {
    await start('pipe', workers);
    child.stdout?.destroy();
    child.stderr?.destroy();
    await serveAndLose(['EPIPE', 'ECONNRESET']);
  });
});
