import { execFile } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ServiceProcess } from './support/service-process.js';
import { until } from './support/until.js';

/** A build takes long on a crowded machine. */
const PATIENCE_MS = 600_000;
/** Everything that a build reads, and the scripts that a development start runs. */
const PROJECT = [
  ...['src', 'commands', 'dev', 'deploy', 'console', 'clients', 'ormconfig.ts'],
  ...['tools/build.ts', 'tools/build-page.ts', 'tools/build-client.ts'],
  ...['nest-cli.json', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
];

interface Outcome {
  readonly code: number;
  readonly stderr: string;
}

let project: string;
let dataDir: string;

const build = (...args: string[]): Promise<Outcome> => run(['tools/build.ts', ...args]);

/** Permissions do not stop root, so root becomes nobody. */
const runAsReader = (program: string): Promise<Outcome> =>
  run([program], process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {});

function run(args: string[], user: { uid?: number; gid?: number } = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: project, ...user }, (error, _, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stderr });
    });
  });
}

const current = (): Promise<string> => readlink(join(project, 'dist'));
const change = (): void => {
  appendFileSync(join(project, 'src/main.ts'), '\n// A change.\n');
};

beforeAll(async () => {
  project = realpathSync(await mkdtemp(join(tmpdir(), 'passkey-manager-build-')));
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  for (const path of PROJECT) cpSync(path, join(project, path), { recursive: true });
  symlinkSync(join(process.cwd(), 'node_modules'), join(project, 'node_modules'));
  // The first build is the one that was made before the tests.
  if (existsSync('builds')) cpSync('builds', join(project, 'builds'), { recursive: true });
});
afterAll(async () => {
  await rm(project, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
});

describe('a build', () => {
  it(
    'makes dist where it is missing, in one line, and does nothing when dist is of this source',
    async () => {
      const first = await build('--if-missing');
      expect(first).toEqual({ code: 0, stderr: expect.stringMatching(/^Building … \d+ s\n$/) });
      expect(await build()).toEqual({ code: 0, stderr: '' });
    },
    PATIENCE_MS,
  );

  it(
    'takes nothing away from a service: a worker that dies meanwhile is replaced from the same code, and requests go on',
    async () => {
      const service = await ServiceProcess.start(dataDir, '', { PASSKEY_WORKERS: '2' }, project);
      const began = await current();
      const load = new AbortController();
      const statuses: number[] = [];
      const loading = (async () => {
        while (!load.signal.aborted) {
          statuses.push((await service.client.call('auth-service', 'GET', '/v1/credentials?limit=1')).status);
        }
      })();
      try {
        change();
        const building = build();
        await replaceWorker(service);
        expect(await building).toEqual({ code: 0, stderr: expect.stringMatching(/^Building … \d+ s\n$/) });
        expect(await current()).not.toBe(began);
        const worker = await replaceWorker(service);
        expect(readFileSync(`/proc/${String(worker)}/cmdline`, 'utf8')).toContain(join(project, began, 'src/main.js'));
      } finally {
        load.abort();
        await loading;
        await service.stop();
      }
      expect(statuses.length).toBeGreaterThan(10);
      expect(new Set(statuses)).toEqual(new Set([200]));
    },
    PATIENCE_MS,
  );

  it(
    'that fails leaves dist as it is, and no folder of its own',
    async () => {
      const [before, builds] = [await current(), readdirSync(join(project, 'builds'))];
      appendFileSync(join(project, 'src/main.ts'), 'const wrong: string = 1;\n');
      const { code, stderr } = await build();
      expect([code, stderr]).toEqual([1, expect.stringContaining('src/main.ts')]);
      expect(await current()).toBe(before);
      expect(readdirSync(join(project, 'builds'))).toEqual(builds);
    },
    PATIENCE_MS,
  );

  it.each([
    ['tools/build.ts', /^Building … \nThe build cannot write: EACCES\b.* '.*'\.\n$/],
    ['tools/build-client.ts', /^The build of the client cannot write: EACCES\b.* '.*'\.\n$/],
  ])('by %s says in a sentence that it may not write the checkout', async (program, sentence) => {
    const folders = ['', 'builds', 'clients/typescript'].map((path) => join(project, path));
    for (const folder of folders) chmodSync(folder, 0o555);
    try {
      expect(await runAsReader(program)).toEqual({ code: 1, stderr: expect.stringMatching(sentence) });
    } finally {
      for (const folder of folders) chmodSync(folder, 0o755);
    }
  });

  it('does not happen for a program that runs what is built; it says that dist is older', async () => {
    const before = await current();
    expect(await build('--if-missing')).toEqual({
      code: 0,
      stderr: 'dist is older than the source, and runs as it is. To build it again: npm run build\n',
    });
    expect(await current()).toBe(before);
  });
});

/** Kills the second worker. @returns the process that has taken its place, and serves */
async function replaceWorker({ managementUrl }: ServiceProcess): Promise<number> {
  const read = async (): Promise<{ pid: number; status: string }> => {
    const health = (await (await fetch(`${managementUrl}/health/ready`)).json()) as {
      details: Record<string, { pid: number; status: string }>;
    };
    return health.details['worker-2']!;
  };
  const { pid } = await read();
  process.kill(pid, 'SIGKILL');
  const worker = await until(async () => {
    const now = await read();
    return now.pid !== pid && now.status === 'up' && now;
  });
  return worker.pid;
}
