import { spawn } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Credential, Page } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { MOVED_PASSKEYS } from './support/foreign-dumps.js';
import { ServiceProcess } from './support/service-process.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const RP_ID = 'login.example.com';
const DIRECTORY = mkdtempSync(join(tmpdir(), 'passkey-programs-'));
const inDirectory = (name: string): string => join(DIRECTORY, name);

const KEY = inDirectory('audit.pub');

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
  const login = await service.relyingParty(RP_ID);
  for (const user of ['ada', 'bob', 'bob']) await login.registered(user, new Authenticator());
  writeFileSync(KEY, requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200));
});
afterAll(async () => {
  await service.stop();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

/** The options by which a program calls as one of the callers. */
function optionsOf(identity: string, url = service.running.httpsUrl): string[] {
  const { cert, key } = service.certificateOf(identity);
  const files = { cert, 'cert-key': key, ca: service.pki.ca };
  return Object.entries(files).reduce<string[]>(
    (options, [name, pem]) => {
      const path = inDirectory(`${identity}.${name}.pem`);
      writeFileSync(path, pem);
      return [...options, `--${name}`, path];
    },
    ['--url', url],
  );
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: string, ...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    `dist/commands/${program}.js`,
    ...args,
  ]);
  child.stdin.end();
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number | null, stdout, stderr };
}

describe('npm run passkeys:import', () => {
  const TARGET = 'moved.example.com';
  const FILE = inDirectory('passkeys.ndjson');
  const importInto = (...args: string[]) =>
    run('passkeys-import', '--rp-id', TARGET, ...optionsOf('operator'), ...args);
  const list = async (): Promise<unknown[]> =>
    requireStatus(
      await service.client.call<Page<Credential>>('auth-service', 'GET', `/v1/credentials?rpId=${TARGET}`),
      200,
    ).data;

  beforeAll(async () => {
    await service.relyingParty(TARGET);
    const { code } = await run(
      'passkeys-read',
      '--from',
      'better-auth',
      '--out',
      FILE,
      `${MOVED_PASSKEYS}/better-auth.csv`,
    );
    expect(code).toBe(0);
  });

  it('says in a dry run what it would do, then does it, and then finds it done', async () => {
    const dry = await importInto('--dry-run', FILE);
    expect([dry, await list()]).toEqual([{ code: 0, stdout: 'Without --dry-run: 3 imported\n', stderr: '' }, []]);
    expect(await importInto(FILE)).toEqual({ code: 0, stdout: '3 imported\n', stderr: '' });
    expect(await list()).toHaveLength(3);
    expect(await importInto('--first-line', '2', FILE)).toEqual({ code: 0, stdout: '2 exists\n', stderr: '' });
  });

  it('names each line that was not imported, with the reason, and ends with 1', async () => {
    const [first = '', ...others] = readFileSync(FILE, 'utf8').trimEnd().split('\n');
    const line = JSON.parse(first) as { credentialId: string };
    const conflict = JSON.stringify({ ...line, userId: 'eve' });
    const path = inDirectory('faulty.ndjson');
    writeFileSync(
      path,
      [others[0], '{', conflict, JSON.stringify({ ...line, signCount: -1 }), others[1], ''].join('\n'),
    );
    const { code, stdout, stderr } = await importInto(path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '2 exists, 2 malformed, 1 conflict\n' });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^line 2: malformed: the line .*JSON/),
      `line 3: conflict ${line.credentialId}: the passkey is stored for another user`,
      expect.stringMatching(/^line 4: malformed: signCount must not be less than 0/),
      '',
    ]);
    const verdicts = inDirectory('verdicts.ndjson');
    expect(await importInto('--verdicts', verdicts, path)).toMatchObject({ code: 1, stderr: '' });
    const told = readFileSync(verdicts, 'utf8')
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as { line: number });
    expect(told.map(({ line }) => line)).toEqual([2, 3, 4]);
  });

  it('takes an export, with the lines that frame it', async () => {
    const out = inDirectory('moved.ndjson');
    await run('passkeys-export', '--rp-id', TARGET, ...optionsOf('operator'), '--key', KEY, '--out', out);
    expect(await importInto(out)).toEqual({ code: 0, stdout: '3 exists\n', stderr: '' });
  });

  it.each([
    ['a caller without the permission', TARGET, 'auditor', /^Nothing was imported: 403 permission-denied /],
    [
      'a relying party that does not exist',
      'none.example.com',
      'operator',
      /^Nothing was imported: 404 relying-party-unknown /,
    ],
  ])('ends with 2 and the problem for %s', async (_, rpId, identity, sentence) => {
    const { code, stdout, stderr } = await run('passkeys-import', '--rp-id', rpId, ...optionsOf(identity), FILE);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
  });
});

describe('a long import', () => {
  const COUNT = 4_000;
  const PATH = inDirectory('long.ndjson');
  let running: ServiceProcess;
  let database: TestDatabase;
  let session: pg.Client;

  beforeAll(async () => {
    const lines = Array.from({ length: COUNT }, (_, index) => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const credentialId = createHash('sha256').update(String(index)).digest('base64url');
      const jwk = publicKey.export({ format: 'jwk' });
      return JSON.stringify({
        credentialId,
        userId: `u${String(index)}`,
        publicKey: jwk,
        signCount: 0,
        source: 'test',
      });
    });
    writeFileSync(PATH, `${lines.join('\n')}\n`);
    database = await createTestDatabase();
    running = await ServiceProcess.start(service.dataDir, database.url);
    session = new pg.Client(database.ownerUrl);
    await session.connect();
  });
  afterAll(async () => {
    await running.stop();
    await session.end();
    await database.drop();
  });

  /** Starts an import into the other service, and waits until it has stored some lines. */
  async function start(): Promise<ReturnType<typeof spawn>> {
    const before = await countSettled();
    const args = [
      'dist/commands/passkeys-import.js',
      '--rp-id',
      'localhost',
      ...optionsOf('operator', running.url),
      PATH,
    ];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args]);
    await until(async () => (await countStored()) > before + 200);
    return child;
  }
  /** Counts when the service has done what an import that was broken off has sent. */
  const countSettled = async (): Promise<number> => {
    for (let count = -1; ;) {
      const next = await countStored();
      if (next === count) return count;
      count = next;
      await sleep(500);
    }
  };
  const countStored = async (): Promise<number> => {
    const { rows } = await session.query<{ count: number }>('SELECT count(*)::int AS count FROM credential');
    return rows[0]!.count;
  };

  it('says on Ctrl-C where to go on, and another run goes on there', async () => {
    const child = await start();
    const output = Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
    child.kill('SIGINT');
    const [stdout, stderr, [code]] = await output;
    const [, next = ''] = /^Interrupted\. To go on, give --first-line (\d+)\.\n$/.exec(stderr) ?? [];
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: `${(Number(next) - 1).toLocaleString('en')} imported\n`,
      stderr: expect.any(String),
    });
    expect(Number(next)).toBeGreaterThan(100);
  });

  it('goes on by itself when the service is killed and started again', async () => {
    const port = new URL(running.url).port;
    const child = await start();
    const output = Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
    await running.kill();
    running = await ServiceProcess.start(service.dataDir, database.url, { PASSKEY_HTTPS_PORT: port });
    const [stdout, stderr, [code]] = await output;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[\d,]+ (imported|exists), [\d,]+ (imported|exists)\n$/);
    expect(await countStored()).toBe(COUNT);
  });
});

describe('npm run passkeys:export', () => {
  const OUT = inDirectory('export.ndjson');

  it('saves every passkey in a file that verifies, and that only its owner may read', async () => {
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      RP_ID,
      ...optionsOf('operator'),
      '--key',
      KEY,
      '--out',
      OUT,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^${OUT}: 3 passkeys; it verifies, digest [\\w-]{43}\n$`));
    expect(readFileSync(OUT, 'utf8').trimEnd().split('\n')).toHaveLength(5);
    expect(statSync(OUT).mode & 0o777).toBe(0o600);
    expect(await run('passkeys-verify-export', OUT, '--key', KEY)).toMatchObject({ code: 0 });
  });

  it.each([
    [
      'a relying party that does not exist',
      'none.example.com',
      'operator',
      /^Nothing was exported: 404 relying-party-unknown /,
    ],
    ['a caller without the permission', RP_ID, 'auditor', /^Nothing was exported: 403 permission-denied /],
  ])('ends with 2 and the problem for %s', async (_, rpId, identity, sentence) => {
    const out = inDirectory('none.ndjson');
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      rpId,
      ...optionsOf(identity),
      '--key',
      KEY,
      '--out',
      out,
    );
    expect({ code, stdout, exists: existsSync(out) }).toEqual({ code: 2, stdout: '', exists: false });
    expect(stderr).toMatch(sentence);
  });

  it.each([
    ['breaks off', (lines: string[]) => lines.slice(0, 3), true, /is not saved: aborted\.\n$/],
    [
      'ends without its last line',
      (lines: string[]) => lines.slice(0, 4),
      false,
      /does not verify: line 4: the export is cut off/,
    ],
    [
      'was altered',
      (lines: string[]) => lines.map((line) => line.replace('"ada"', '"eve"')),
      false,
      /does not verify: line 5: the lines before/,
    ],
  ])('leaves no file, and the old one as it is, when the answer %s', async (_, change, breaks, sentence) => {
    const before = readFileSync(OUT, 'utf8');
    const answer = change(before.trimEnd().split('\n'))
      .map((line) => `${line}\n`)
      .join('');
    const server = createServer(
      { ...service.certificateOf('server'), ca: service.pki.ca, requestCert: true },
      (_, response) => {
        if (!breaks) response.end(answer);
        else response.write(answer, () => setTimeout(() => response.destroy(), 100));
      },
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${String((server.address() as AddressInfo).port)}`;
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      RP_ID,
      ...optionsOf('operator', url),
      '--key',
      KEY,
      '--out',
      OUT,
    );
    server.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(readFileSync(OUT, 'utf8')).toBe(before);
    expect(readdirSync(DIRECTORY).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });
});
