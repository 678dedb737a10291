import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Credential } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import { TestService, toSpiffeId } from './support/service.js';
import { ServiceProcess } from './support/service-process.js';
import { settleLog } from './support/settle-log.js';

const RP = 'login.example.com';
const USER = 'user-4711-evidence';
const DIRECTORY = mkdtempSync(join(tmpdir(), 'passkey-evidence-'));
const path = (name: string): string => join(DIRECTORY, name);

let service: TestService;
let credential: Credential;
let key: string;
/** Evidence of the service before any test changed it. */
let made: Outcome & { readonly out: string };
let runs = 0;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param project the directory whose build runs */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, project = process.cwd()): Promise<Outcome> {
  const node = ['--disable-warning=ExperimentalWarning', join(project, 'dist/commands/evidence.js')];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...node, ...args],
      { env: { PATH: process.env['PATH'], ...env } },
      (failed, stdout, stderr) => {
        resolve({ code: failed ? Number(failed.code) : 0, stdout, stderr });
      },
    );
  });
}

/** Makes evidence of the service under test, as a role that only reads the log. @returns the directory */
async function collect(
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome & { readonly out: string }> {
  const out = path(`evidence-${String((runs += 1))}`);
  const settings = {
    DATABASE_URL: service.database.auditorUrl,
    PASSKEY_DATA_DIR: service.dataDir,
    PASSKEY_AUDIT_ANCHOR_FILE: path('anchored'),
    ...env,
  };
  return { ...(await run(['--out', out, ...args], settings)), out };
}

const read = (out: string, file: string): unknown => JSON.parse(readFileSync(join(out, file), 'utf8'));
const verify = (out: string, keyFile = key): Promise<Outcome> => run(['--verify', out, '--key', keyFile]);

beforeAll(async () => {
  service = await TestService.start({ env: { PASSKEY_AUDIT_ANCHOR_FILE: path('anchored') } });
  const login = await service.relyingParty(RP);
  const authenticator = new Authenticator();
  credential = await login.registered(USER, authenticator);
  await login.authenticated(authenticator);
  await settleLog(service);
  const { client } = service;
  requireStatus(await client.call('auth-service', 'GET', '/v1/audit/events'), 403);
  requireStatus(await client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
  await settleLog(service);
  key = path('audit.pub');
  writeFileSync(key, requireStatus(await client.call<string>('auditor', 'GET', '/v1/audit/key'), 200));
  made = await collect();
});
afterAll(async () => {
  await service.stop();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

describe('npm run evidence', () => {
  it('writes every part and signs them, by a role that only reads the log', async () => {
    const { code, stdout, stderr, out } = made;
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/ has 11 parts, and \d+ open questions: begin at README\.md\.\n$/),
      stderr: '',
    });
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['README.md', 'SHA256SUMS', 'SHA256SUMS.note', 'evidence.json']),
    );
    const { code: verified, stdout: told } = await verify(out);
    expect({ verified, told }).toEqual({
      verified: 0,
      told: expect.stringMatching(
        /verifies: 13 files are as SHA256SUMS lists them\.\n +signed .*by ed25519 \(.*\) and ml-dsa-44/,
      ),
    });
  });

  it('writes the files that its page describes', () => {
    const page = readFileSync('docs/evidence.md', 'utf8');
    const described = [...page.matchAll(/^\| `([\w.-]+\.json)`/gm)].map(([, file]) => file);
    const index = ['README.md', 'SHA256SUMS', 'SHA256SUMS.note'];
    expect([...described, ...index].sort()).toEqual(readdirSync(made.out).sort());
  });

  it('proves the whole log, holds it against the anchored checkpoints, and shows who used which permission', () => {
    const { out } = made;
    expect(read(out, 'audit-log.json')).toMatchObject({
      verified: true,
      log: 'passkey-manager/default',
      archivedEvents: 0,
      anchors: { file: path('anchored'), checkpointsThatMatch: expect.any(Number), checkpointsNewerThanThis: 0 },
    });
    expect(
      (read(out, 'audit-log.json') as { anchors: { checkpointsThatMatch: number } }).anchors.checkpointsThatMatch,
    ).toBeGreaterThan(0);
    const { identities } = read(out, 'access-matrix.json') as {
      identities: { identity: string; permissions: { permission: string; used: number; refused: number }[] }[];
    };
    const find = (name: string, permission: string): unknown =>
      identities
        .find(({ identity }) => identity === toSpiffeId(name))
        ?.permissions.find((cell) => cell.permission === permission);
    expect(find('auth-service', 'passkeys:authenticate')).toMatchObject({
      granted: true,
      used: 1,
      lastUsed: expect.any(String),
    });
    expect(find('auth-service', 'passkeys:register')).toMatchObject({ used: 1 });
    expect(find('auth-service', 'audit:read')).toMatchObject({ granted: false, used: 0, refused: 1 });
    expect(find('auditor', 'audit:export')).toMatchObject({ granted: true, used: 1 });
    expect(find('operator', 'passkeys:erase')).toMatchObject({ granted: true, used: 0, lastUsed: null });
  });

  it('knows since when each key of the service is in use', () => {
    const { keys } = read(made.out, 'key-ages.json') as {
      keys: { what: string; source: string; ageDays: number }[];
    };
    const sources = new Map(keys.map(({ what, source }) => [what, source]));
    expect(sources.get('signs the audit log')).toBe('the first checkpoint in the database');
    expect(sources.get('seals credential rows (MAC)')).toMatch(/^the event seal-key\.add of [0-9a-f]{8}$/);
    expect(sources.get('authenticates the server to callers (TLS)')).toBe('the certificate that was issued for it');
    expect(keys.filter(({ ageDays }) => ageDays !== 0)).toEqual([]);
  });

  it('lists the packages that are installed, as the validator of CycloneDX wants it', async () => {
    const { out } = made;
    const library: string = '@cyclonedx/cyclonedx-library';
    const { Validation } = (await import(library)) as {
      Validation: { JsonStrictValidator: new (version: string) => { validate(text: string): Promise<unknown> } };
    };
    const validator = new Validation.JsonStrictValidator('1.6');
    for (const file of ['sbom.cdx.json', 'cbom.cdx.json']) {
      expect({ file, mistakes: await validator.validate(readFileSync(join(out, file), 'utf8')) }).toEqual({
        file,
        mistakes: null,
      });
    }
    const { components, dependencies } = read(out, 'sbom.cdx.json') as {
      components: { 'bom-ref': string; purl?: string; scope?: string; version: string }[];
      dependencies: { ref: string; dependsOn?: string[] }[];
    };
    const { version } = JSON.parse(readFileSync('node_modules/pg/package.json', 'utf8')) as { version: string };
    expect(components).toContainEqual(
      expect.objectContaining({ purl: `pkg:npm/pg@${version}`, scope: 'required', version }),
    );
    expect(components).toContainEqual(expect.objectContaining({ 'bom-ref': 'node_modules/jest', scope: 'excluded' }));
    const { dependsOn = [] } = dependencies.find(({ ref }) => ref === 'passkey-manager')!;
    const { dependencies: declared } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object };
    expect(dependsOn).toEqual(expect.arrayContaining(Object.keys(declared).map((name) => `node_modules/${name}`)));
  });

  it('has no key, no password and no user', () => {
    const { out } = made;
    const secrets = [
      'audit.key',
      'binding.key',
      'receipt.key',
      'signal.key',
      'pki/server.key',
      'pki/auditor.key',
    ].flatMap((file) =>
      readFileSync(join(service.dataDir, file), 'utf8')
        .split('\n')
        .filter((line) => line.length > 20 && !line.startsWith('-----')),
    );
    expect(secrets.length).toBeGreaterThan(10);
    const { password } = new URL(service.database.auditorUrl);
    const forbidden = [...secrets, password, USER, credential.id, credential.credentialId, 'PRIVATE KEY'];
    for (const file of readdirSync(out)) {
      const text = readFileSync(join(out, file), 'utf8');
      expect({ file, found: forbidden.filter((secret) => text.includes(secret)) }).toEqual({ file, found: [] });
    }
  });

  it('is the same a moment later, but for times', async () => {
    const other = await collect();
    const differing = readdirSync(made.out).filter((file) => mask(made.out, file) !== mask(other.out, file));
    expect(differing).toEqual(
      ['SHA256SUMS', 'SHA256SUMS.note', 'clocks.json'].filter((file) => differing.includes(file)),
    );
  });

  it('shows the results of tests, the reports of reviews and the rehearsals that were kept', async () => {
    const passing = [
      {
        ancestorTitles: ['the role'],
        title: 'has read-only transactions, which end',
        fullName: 'the role has read-only transactions, which end',
        status: 'passed',
      },
    ];
    const report = {
      startTime: Date.parse('2026-05-01T00:00:00Z'),
      testResults: [{ name: '/ci/src/database/roles.spec.ts', assertionResults: passing }],
    };
    writeFileSync(path('test.json'), JSON.stringify(report));
    const reviews = mkdtempSync(path('reviews-'));
    writeFileSync(join(reviews, '2026-05-01.html'), '<h1>Review</h1>');
    writeFileSync(path('drill.txt'), 'A restore of a dump, in 41 s\n  lost      nothing\n');
    const { out } = await collect(['--results', path('test.json'), '--reviews', reviews, '--drill', path('drill.txt')]);
    const { requirements } = read(out, 'compliance.json') as {
      requirements: { requirement: string; tests: object[] }[];
    };
    expect(requirements.find(({ requirement }) => requirement === '10.3.1')?.tests).toContainEqual({
      file: 'src/database/roles.spec.ts',
      test: 'has read-only transactions, which end',
      result: 'passed',
      at: '2026-05-01T00:00:00.000Z',
    });
    const sha256 = createHash('sha256').update('<h1>Review</h1>').digest('hex');
    expect(read(out, 'reviews.json')).toMatchObject({ keptReports: [{ file: '2026-05-01.html', sha256 }] });
    expect(read(out, 'restores.json')).toMatchObject({
      rehearsals: [{ procedures: ['A restore of a dump, in 41 s'], asExpected: true }],
      restoresOfThisLog: [],
    });
  });

  it('reads the log from a time on, and says so', async () => {
    const { firstEvent, lastEvent, treeSize } = read(made.out, 'audit-log.json') as Record<string, string | number>;
    const { out, code } = await collect(['--since', String(lastEvent)]);
    expect(code).toBe(0);
    const later = read(out, 'audit-log.json') as Record<string, string | number>;
    expect(later).toMatchObject({ verified: true, leavesTo: treeSize, treeSize, firstEvent: lastEvent });
    expect(Number(later['leavesFrom'])).toBeGreaterThan(0);
    expect(firstEvent).not.toBe(lastEvent);
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toMatch(/The log was read from leaf \d+ on/);
  });

  it('has all but the bill of software where the library of CycloneDX is missing, and says so', async () => {
    const project = installWithout('@cyclonedx');
    const out = path('without-library');
    const env = { DATABASE_URL: service.database.auditorUrl, PASSKEY_DATA_DIR: service.dataDir };
    const { code, stdout, stderr } = await run(['--out', out], env, project);
    const reason = '@cyclonedx/cyclonedx-library is not installed: run npm ci, with the packages of development';
    expect({ code, stdout, faults: stderr.split('\n').slice(0, -1) }).toEqual({
      code: 1,
      stdout: expect.stringMatching(/ has 10 of 11 parts, /),
      faults: [
        `sbom.cdx.json is missing: ${reason}.`,
        expect.stringMatching(/^node_modules\/\.package-lock\.json is missing/),
        'The bill of cryptography: it is not validated, because @cyclonedx/cyclonedx-library is not installed: run npm ci.',
      ],
    });
    expect(existsSync(join(out, 'sbom.cdx.json'))).toBe(false);
    const { parts, missing } = read(out, 'evidence.json') as { parts: { file: string }[]; missing: object[] };
    expect(parts.map(({ file }) => file)).not.toContain('sbom.cdx.json');
    expect(parts).toHaveLength(10);
    expect(missing).toEqual([expect.objectContaining({ file: 'sbom.cdx.json', reason })]);
    const overview = readFileSync(join(out, 'README.md'), 'utf8');
    expect(overview).toContain(`- sbom.cdx.json is missing: ${reason}.\n`);
    expect(overview).toMatch(/^## Missing: Software bill of materials.*\n\nThere is no sbom\.cdx\.json: /m);
    expect(overview).not.toContain('(sbom.cdx.json)');
    expect(await verify(out)).toMatchObject({ code: 0, stdout: expect.stringMatching(/verifies: 12 files/) });
  });

  it('reads the embedded database beside the service that uses it, which goes on', async () => {
    const dataDir = mkdtempSync(path('development-'));
    const running = await ServiceProcess.start(dataDir);
    try {
      const { code, stderr } = await run(['--out', path('beside')], { PASSKEY_DATA_DIR: dataDir });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { roles } = read(path('beside'), 'database-roles.json') as {
        roles: { role: string; isUsedNow: boolean }[];
      };
      expect(roles.filter(({ isUsedNow }) => isUsedNow).map(({ role }) => role)).toEqual(['passkey_auditor']);
      requireStatus(await running.client.call('auditor', 'GET', '/v1/audit/events'), 200);
    } finally {
      await running.stop();
    }
  });

  it.each<readonly [what: string, args: () => string[], env: NodeJS.ProcessEnv, told: RegExp]>([
    ['a directory that is not empty', () => ['--out', DIRECTORY], {}, /is not empty/],
    ['results that are not of tests', () => ['--results', key], {}, /is not a report of jest/],
    ['checkpoints that are not there', () => ['--checkpoints', path('nowhere')], {}, /ENOENT/],
    [
      'a directory without schemas',
      () => ['--calm-schemas', DIRECTORY],
      {},
      /has no usable schemas of CALM|has no schema/,
    ],
    ['a database that is not there', () => [], { DATABASE_URL: 'postgresql://a:b@127.0.0.1:1/c' }, /ECONNREFUSED/],
    ['a time that is none', () => ['--since', 'yesterday'], {}, /--since is not a time/],
    ['settings that are wrong', () => [], { PASSKEY_WORKERS: 'many' }, /PASSKEY_WORKERS/],
  ])('ends with 2 for %s, and writes nothing', async (_what, args, env, told) => {
    const before = readdirSync(DIRECTORY);
    const given = args();
    const { code, stdout, stderr, out } =
      given[0] === '--out' ? { ...(await run(given)), out: path('none') } : await collect(given, env);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(told) });
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(DIRECTORY)).toEqual(before);
  });
});

describe('npm run evidence -- --verify', () => {
  it('names each file that is altered, missing or added, and ends with 1', async () => {
    const { out } = await collect();
    writeFileSync(join(out, 'access-matrix.json'), '{}\n');
    rmSync(join(out, 'clocks.json'));
    writeFileSync(join(out, 'more.json'), '{}\n');
    const { code, stdout, stderr } = await verify(out);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n').slice(1, -1)).toEqual([
      expect.stringMatching(
        /^ {2}access-matrix\.json was altered: its SHA-256 is [0-9a-f]{64}, and the list says [0-9a-f]{64}$/,
      ),
      '  clocks.json is missing',
      '  more.json was added: the list lacks it',
    ]);
  });

  it('ends with 1 for the keys of another log, and with 2 without any', async () => {
    const { out } = made;
    const other = await TestService.start();
    try {
      writeFileSync(
        path('other.pub'),
        requireStatus(await other.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200),
      );
    } finally {
      await other.stop();
    }
    expect(await verify(out, path('other.pub'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/SHA256SUMS\.note does not verify: the note lacks/),
    });
    expect(await run(['--verify', out])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^--verify needs --key\.\nusage: /),
    });
    expect(await verify(out, path('nowhere'))).toMatchObject({ code: 2, stdout: '' });
    expect(await verify(path('nowhere'))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is not a directory/),
    });
  });
});

describe('a log that somebody has altered', () => {
  it('is named by the program and by the evidence, which verifies all the same', async () => {
    await service.sql(
      `UPDATE audit_event SET event = replace(event, '"time":1', '"time":2') WHERE type = 'credential.register'`,
    );
    const { code, stderr, out } = await collect();
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^The audit log does not verify: line \d+: /),
    });
    expect(read(out, 'audit-log.json')).toMatchObject({ verified: false, fault: expect.stringMatching(/^line \d+: /) });
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toMatch(
      /## What does not hold\n\n- The audit log does not verify/,
    );
    expect((await verify(out)).code).toBe(0);
  });
});

/** Makes an installation of this build that lacks some packages. @returns its directory */
function installWithout(name: string): string {
  const project = mkdtempSync(path('project-'));
  for (const file of ['package.json', 'docs/compliance.md', 'dist'])
    cpSync(realpathSync(file), join(project, file), { recursive: true });
  mkdirSync(join(project, 'node_modules'));
  for (const entry of readdirSync('node_modules').filter((each) => each !== name && !each.startsWith('.')))
    symlinkSync(realpathSync(join('node_modules', entry)), join(project, 'node_modules', entry));
  return project;
}

const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z|-?\d+\.\d ms/g;

/** Reads a file without its times. */
function mask(out: string, file: string): string {
  return readFileSync(join(out, file), 'utf8').replaceAll(TIME, 'time');
}
