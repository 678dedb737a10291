import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createTestDatabase } from './support/database.js';

/** Every program, by its script in package.json or its built file, with the options that it takes. */
const PROGRAMS: readonly (readonly [program: string, options: readonly string[]])[] = [
  ['audit:archive', ['before', 'key', 'to', 'dry-run']],
  ['audit:report', ['key', 'checkpoints', 'from', 'to', 'html']],
  ['audit:verify', ['key', 'proof', 'since', 'consistency', 'checkpoints', 'retained-since']],
  ['console', ['url', 'cert', 'cert-key', 'ca', 'as', 'management', 'port', 'open']],
  ['evidence', ['out', 'results', 'checkpoints', 'since', 'reviews', 'drill', 'calm-schemas', 'verify', 'key']],
  ['inventory', ['json']],
  ['migration:run', ['grants', 'sequencer', 'show', 'revert']],
  ['migration:distribute', []],
  ['passkey-manager', ['version']],
  ['passkeys:verify-export', ['key']],
  ['passkeys:export', ['rp-id', 'url', 'cert', 'cert-key', 'ca', 'key', 'out']],
  ['passkeys:import', ['rp-id', 'url', 'cert', 'cert-key', 'ca', 'dry-run', 'first-line', 'verdicts']],
  ['passkeys:read', ['from', 'rp-id', 'out']],
  ['payment:replay', ['proof', 'key', 'json']],
  ['reconcile', ['export', 'key', 'json']],
  ['revocations', ['export', 'key', 'url', 'cert', 'cert-key', 'ca', 'dry-run']],
  ['keys', []],
  ['dist/dev/prepare.js', []],
  ['start', []],
  ['bench', ['quick', 'scenario', 'against', 'soak', 'growth']],
  ['build', ['if-missing']],
  ['check:rooms', ['write']],
  ['conformance', ['check']],
  ['crashes', ['rounds', 'callers', 'every', 'directory']],
  ['continuity', ['procedure', 'binaries']],
  ['demo', []],
  ['drill', ['binaries']],
  ['failover', []],
  ['fuzz', ['section']],
  ['large-log', []],
  ['lost-nodes', ['rounds', 'binaries']],
  ['names', []],
  ['races', ['answers', 'at-once']],
  ['rotations', ['rotations', 'connections']],
  ['rotations:keys', ['cycles', 'callers']],
  ['siege', ['short', 'attack']],
  ['vectors', ['root', 'time', 'except']],
];

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Readonly<Record<string, string>> };

/** Scripts that run a program of another project, or tests. */
const OTHERS = /^(?:start|test|lint|format|typecheck|check$|mutation|client:|openapi:|migration:(?:revert|show)|pre)/;

it('lists every program that an npm script runs', () => {
  const own = Object.keys(scripts).filter((name) => !OTHERS.test(name));
  expect(own.filter((name) => !PROGRAMS.some(([program]) => program === name))).toEqual([]);
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without the build that its script may begin with. */
function run(program: string, ...args: string[]): Promise<Outcome> {
  const script = scripts[program]?.split(' && ').at(-1) ?? `node ${program}`;
  const command = script.replace(/^(?:exec )?node /, '').split(' ');
  return new Promise((resolve) => {
    execFile(process.execPath, [...command, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

describe.each(PROGRAMS)('%s', (program, options) => {
  it('prints its help to standard output and ends with 0', async () => {
    const [{ code, stdout }, short] = await Promise.all([run(program, '--help'), run(program, '-h')]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('usage: ') });
    for (const option of [...options, 'help']) expect(stdout).toMatch(new RegExp(`^ +--${option}[ ,].*\\w`, 'm'));
    expect(stdout).toMatch(/^Exit codes:/m);
    expect(stdout).toMatch(/^Examples?:/m);
    expect(short).toMatchObject({ code: 0, stdout });
  });

  it('puts -- before the options of an npm script, because npm keeps those before it to itself', async () => {
    const { stdout } = await run(program, '--help');
    const calls = stdout.split('\n').filter((line) => /npm (?:run \S+|start|test)[^-]* \[?-/.test(line));
    for (const call of calls) expect(call).toMatch(/npm (?:run \S+|start|test) (?:\[?-- )/);
  });

  it('answers an unknown option with a sentence and the usage on standard error, and ends with 2', async () => {
    const { code, stdout, stderr } = await run(program, '--unknown-option');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Unknown option '--unknown-option'.*\n+usage: /s);
  });
});

/** The engines field, which says what runs the service; npm itself may run on an older Node.js. */
const { engines, devEngines } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  engines: { node: string };
  devEngines: { runtime: { version: string } };
};
const needed = engines.node.replace('>=', '');
const npmNeeds = devEngines.runtime.version.replace('>=', '');
const BUILT = readdirSync('dist/commands')
  .filter((name) => name.endsWith('.program.js'))
  .map((name) => `dist/commands/${name.replace('.program.js', '.js')}`);

describe('a Node.js that is too old', () => {
  /** The Node.js that runs these tests takes itself for an older one; where there is an older one, it is asked, too. */
  const pretended = [
    process.execPath,
    '--import',
    `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`,
  ];
  const installed = ['/usr/bin/node', '/usr/local/bin/node'].filter((path) => isTooOld(path)).map((path) => [path]);

  it('is told of by every program in dist', () => {
    expect(BUILT.length).toBeGreaterThan(6);
  });

  it.each([...BUILT, 'dist/dev/prepare.js', 'dist/src/main.js'])('%s says in a sentence which one it needs', (file) => {
    for (const [node = '', ...options] of [pretended, ...installed]) {
      const { status, stdout, stderr } = spawnSync(node, [...options, file], { encoding: 'utf8' });
      expect({ status, stdout }).toEqual({ status: file.endsWith('main.js') ? 1 : 2, stdout: '' });
      const version = needed.replaceAll('.', '\\.');
      expect(stderr).toMatch(
        new RegExp(
          `^Passkey Manager needs Node\\.js ${version} or later, and this is \\d+\\.\\d+\\.\\d+ \\(.*\\)\\.\n$`,
        ),
      );
    }
  });

  it('is named alike by package.json, the documents and the image', () => {
    for (const page of ['README.md', 'Dockerfile'])
      expect(readFileSync(page, 'utf8')).toContain(`Node.js ${needed} or later`);
    for (const page of ['README.md', 'CONTRIBUTING.md'])
      expect(readFileSync(page, 'utf8').replace('[Node.js](https://nodejs.org)', 'Node.js')).toContain(
        `Node.js ${npmNeeds} or later`,
      );
  });
});

function isTooOld(node: string): boolean {
  if (!existsSync(node)) return false;
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.slice(1);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [neededMajor = 0, neededMinor = 0] = needed.split('.').map(Number);
  return major < neededMajor || (major === neededMajor && minor < neededMinor);
}

describe('a data directory that cannot be written', () => {
  // Nobody can make a directory below a file.
  const directory = resolve('package.json', 'data');
  const PROGRAMS_OF_DATA = [
    ['dist/src/main.js', 1],
    ['dist/commands/inventory.js', 2],
  ] as const;

  it.each(PROGRAMS_OF_DATA)('%s names its setting in a sentence, and ends with %i', (file, status) => {
    const env = { PATH: process.env['PATH'], PASSKEY_DATA_DIR: directory };
    const outcome = spawnSync(process.execPath, [file], { encoding: 'utf8', env, timeout: 60_000 });
    expect({ ...outcome, stderr: outcome.stderr.split('\n') }).toMatchObject({
      status,
      stdout: '',
      stderr: expect.arrayContaining([`  - PASSKEY_DATA_DIR names "${directory}", which cannot be written (ENOTDIR)`]),
    });
  });
});

describe('a port that another program uses', () => {
  it.each(['PASSKEY_HTTPS', 'PASSKEY_MANAGEMENT'])('is named in one sentence with %s_PORT', async (prefix) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const port = String((other.address() as AddressInfo).port);
    const database = await createTestDatabase();
    const directory = mkdtempSync(join(tmpdir(), 'passkeys-port-'));
    try {
      const env = {
        PATH: process.env['PATH'],
        PASSKEY_DATA_DIR: directory,
        DATABASE_URL: database.url,
        PASSKEY_HTTPS_PORT: '0',
        PASSKEY_MANAGEMENT_PORT: '0',
        [`${prefix}_PORT`]: port,
      };
      const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/src/main.js'], { encoding: 'utf8', env });
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      const sentence = `Port ${port} is in use: end the other program, or set ${prefix}_PORT`;
      expect(stderr).toMatch(new RegExp(`^Making .*\nThe settings do not allow a start:\n  - ${sentence}\n$`));
    } finally {
      rmSync(directory, { recursive: true });
      await database.drop();
      other.close();
    }
  });
});
