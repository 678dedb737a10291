import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from './support/until.js';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-npm-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const postmaster = (): string => join(dataDir, 'postgres/data/postmaster.pid');

interface Started {
  readonly npm: ChildProcess;
  readonly managementUrl: string;
  readonly errors: string;
}

/** Runs `npm start` on the embedded database, without a terminal: a signal reaches npm alone. */
async function startByNpm(): Promise<Started> {
  const npm = spawn('npm', ['start'], {
    detached: true,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      PASSKEY_DATA_DIR: dataDir,
      PASSKEY_HTTPS_PORT: '0',
      PASSKEY_MANAGEMENT_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  npm.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  npm.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const managementUrl = await until(() => {
    if (npm.exitCode !== null) throw new Error(`npm start ended:\n${output}\n${errors}`);
    return /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
  });
  return { npm, managementUrl, errors };
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/health/live`).then(
    ({ ok }) => ok,
    () => false,
  );

describe('npm start', () => {
  it('says what its first start does, on standard error, and nothing of it at the second', async () => {
    const steps = [
      /^Making certificates and keys in .* …$/m,
      /^Making a database in .* …$/m,
      /^Migrating the database …$/m,
    ];
    for (const isFirst of [true, false]) {
      const { npm, errors } = await startByNpm();
      npm.kill('SIGTERM');
      await until(() => !existsSync(postmaster()));
      expect(steps.map((step) => step.test(errors))).toEqual(steps.map(() => isFirst));
    }
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)(
    'leaves neither the service nor its database behind after %s to npm',
    async (signal) => {
      const { npm, managementUrl } = await startByNpm();
      expect([await answers(managementUrl), existsSync(postmaster())]).toEqual([true, true]);
      const ended = once(npm, 'exit');
      npm.kill(signal);
      await ended;
      await until(async () => !(await answers(managementUrl)) && !existsSync(postmaster()));
    },
  );
});
