import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { BACKED_UP, keepTables, restoreTables } from './support/backup.js';
import type { Credential } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { TestDatabase } from './support/database.js';
import { type Replica, TestService, toSpiffeId } from './support/service.js';
import { settleLog } from './support/settle-log.js';

const RP = 'login.example.com';
/** No caller signs anybody in while operators repeat what the restored database lacks. */
const POLICY_MEANWHILE = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('operator')}
    permissions: [passkeys:read, passkeys:manage, passkeys:erase]
  - id: ${toSpiffeId('elsewhere')}
    permissions: [passkeys:read, passkeys:manage]
    relyingParties: [other.example.com]
  - id: ${toSpiffeId('reader')}
    permissions: [passkeys:read]
  - id: ${toSpiffeId('auditor')}
    permissions: ['audit:read', 'audit:export']
`;

let service: TestService;
let directory: string;
let login: Ceremonies<string>;
let restored: TestDatabase;
/** The service on the restored database. */
let replica: Replica;
let passkeys: Record<'early' | 'stolen' | 'parked' | 'back' | 'quiet' | 'theirs' | 'late', Credential>;
let exported: string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-revocations-'));
  service = await TestService.start({ identities: ['elsewhere', 'reader'] });
  login = await service.relyingParty(RP);
  const register = (user: string): Promise<Credential> => login.registered(user, new Authenticator());
  passkeys = {
    early: await register('user-early'),
    stolen: await register('user-stolen'),
    parked: await register('user-parked'),
    back: await register('user-back'),
    quiet: await register('user-quiet'),
    theirs: await register('user-erased'),
    late: await register('user-late'),
  };
  await act(passkeys.early.id, 'revoke', 'lost long ago');
  await settleLog(service);
  await keepTables(service, 'backup', BACKED_UP);
  service.clock.advance(60);
  await act(passkeys.parked.id, 'suspend', 'the user “cannot find” the key');
  await act(passkeys.stolen.id, 'suspend', 'reported');
  await act(passkeys.stolen.id, 'revoke', 'stolen, case 4711');
  await act(passkeys.back.id, 'suspend', 'in doubt');
  await act(passkeys.back.id, 'reinstate', 'found');
  passkeys.late = await register('user-late-too');
  await act(passkeys.late.id, 'revoke', 'never in the backup');
  requireStatus(await service.client.call('operator', 'DELETE', `/v1/users/user-erased?rpId=${RP}`), 204);
  requireStatus(await service.client.call('operator', 'DELETE', `/v1/users/nobody?rpId=${RP}`), 204);
  await settleLog(service);
  exported = await exportLog();
  service.clock.advance(60);
  restored = await restoreTables(service, 'backup');
  await writeFile(join(service.dataDir, 'access-policy.yaml'), POLICY_MEANWHILE);
  replica = await service.startReplica(restored.url);
}, 120_000);
afterAll(async () => {
  await replica.stop();
  await service.stop();
  await restored.drop();
  await rm(directory, { recursive: true, force: true });
});

async function act(id: string, verb: string, reason: string): Promise<void> {
  requireStatus(await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason }), 200);
}

async function exportLog(): Promise<string[]> {
  const text = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
  const key = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200);
  const paths = [join(directory, 'export.ndjson'), join(directory, 'audit.pub')] as const;
  await Promise.all([writeFile(paths[0], text), writeFile(paths[1], key)]);
  return ['--export', paths[0], '--key', paths[1]];
}

interface Outcome {
  readonly code: number;
  readonly lines: readonly string[];
  readonly error: string;
}

function execute(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [`dist/commands/${program}`, ...args], { env }, (failed, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line !== '');
      resolve({ code: failed ? Number(failed.code) : 0, lines, error: stderr });
    });
  });
}

async function callAs(identity: string, url = replica.running.httpsUrl): Promise<string[]> {
  const [cert, key, ca] = ['crt', 'key', 'ca'].map((ending) => join(directory, `${identity}.${ending}`));
  const pair = service.certificateOf(identity);
  await Promise.all([writeFile(cert!, pair.cert), writeFile(key!, pair.key), writeFile(ca!, service.pki.ca)]);
  return ['--url', url, '--cert', cert!, '--cert-key', key!, '--ca', ca!];
}

/** Runs the program against the restored service. */
const run = async (identity: string, ...more: string[]): Promise<Outcome> =>
  execute('revocations.js', [...exported, ...(await callAs(identity)), ...more]);

async function statusOf(name: keyof typeof passkeys): Promise<string> {
  const path = `/v1/credentials/${passkeys[name].id}`;
  const { status, body } = await replica.client.call<Credential>('operator', 'GET', path);
  return status === 200 ? body.status : String(status);
}

async function readStatuses(): Promise<Record<string, string>> {
  const names = Object.keys(passkeys) as (keyof typeof passkeys)[];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await statusOf(name)] as const)));
}

const OLD = {
  early: 'revoked',
  stolen: 'active',
  parked: 'active',
  back: 'active',
  quiet: 'active',
  theirs: 'active',
  late: '404',
};

describe('revocations after a restore', () => {
  it('are back in the older state', async () => {
    expect(await readStatuses()).toEqual(OLD);
  });

  it('are named by a dry run, which changes nothing', async () => {
    const { code, lines, error } = await run('operator', '--dry-run');
    expect([code, error]).toEqual([1, '']);
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^would be revoked: passkey ${passkeys.stolen.id} at ${RP}, which was active \\("stolen, case 4711"`,
        ),
      ),
      expect.stringMatching(
        new RegExp(`^would be suspended: passkey ${passkeys.parked.id} at ${RP}, which was active`),
      ),
      expect.stringMatching(
        /^erase again: user "user-erased" of login\.example\.com is back \(pseudonym [-0-9a-f]{36}, event /,
      ),
      '2 to be changed, 1 already as the exports say, 1 not in the database, 1 to be erased again.',
    ]);
    expect(await readStatuses()).toEqual(OLD);
  });

  it.each([
    [
      'elsewhere',
      /^not revoked: .*: 403 relying-party-denied/,
      'the caller may not act there, so nothing looks as if it were gone',
    ],
    ['reader', /^not revoked: .*: 403 permission-denied/, 'the caller may only read'],
  ])('are not repeated by %s: %s', async (identity, told) => {
    const { code, lines } = await run(identity);
    expect(code).toBe(1);
    expect(lines).toContainEqual(expect.stringMatching(told));
    expect(lines.at(-1)).toMatch(/^[24] not changed, /);
    expect(await readStatuses()).toEqual(OLD);
  });

  it('are repeated with their reasons, and the log records who did it', async () => {
    const { code, lines, error } = await run('operator');
    expect([code, error]).toEqual([1, '']);
    expect(lines[0]).toMatch(/ verifies: leaves \[0, \d+\), events from .* to /);
    expect(lines.at(-1)).toBe('2 changed, 1 already as the exports say, 1 not in the database, 1 to be erased again.');
    expect(await readStatuses()).toEqual({ ...OLD, stolen: 'revoked', parked: 'suspended' });
    const log = new AuditLog(replica.client);
    const events = await log.events({ credentialId: passkeys.stolen.id, type: 'credential.revoke' });
    expect(events).toEqual([
      expect.objectContaining({
        actor: expect.objectContaining({ app_uid: toSpiffeId('operator') }),
        unmapped: expect.objectContaining({ status_before: 'active', status_reason: 'stolen, case 4711' }),
      }),
    ]);
  });

  it('are repeated once: a second run changes nothing', async () => {
    const { code, lines } = await run('operator');
    expect(code).toBe(1);
    expect(lines.at(-1)).toBe('3 already as the exports say, 1 not in the database, 1 to be erased again.');
  });

  it('leave nothing to do once the user is erased, and the rows are as the export says', async () => {
    requireStatus(await replica.client.call('operator', 'DELETE', `/v1/users/user-erased?rpId=${RP}`), 204);
    const { code, lines } = await run('operator');
    expect([code, lines.at(-1)]).toEqual([0, '3 already as the exports say, 1 not in the database.']);
    const found = await execute('reconcile.js', ['--json', ...exported], {
      ...process.env,
      DATABASE_URL: restored.url,
    });
    const findings = found.lines.slice(0, -1).map((line) => JSON.parse(line) as Record<'kind' | 'row' | 'log', string>);
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(['row-outdated', 'row-missing']));
    // A passkey that skipped a change of the lost time has a lower version, and the status that the log says.
    const status = (text: string): string | undefined => text.split(', ').at(1);
    for (const { kind, row, log } of findings) if (kind === 'row-outdated') expect(status(row)).toBe(status(log));
  });

  it('do not undo what an operator has decided since', async () => {
    service.clock.advance(60);
    const path = `/v1/credentials/${passkeys.parked.id}/reinstate`;
    requireStatus(await replica.client.call('operator', 'POST', path, { reason: 'found' }), 200);
    const { code, lines } = await run('operator');
    expect(code).toBe(0);
    expect(lines).toContainEqual(expect.stringMatching(`left active: passkey ${passkeys.parked.id}`));
    expect(await statusOf('parked')).toBe('active');
  });
});

describe('the program', () => {
  it('asks nobody with an export that does not verify', async () => {
    const [, path, ...keys] = exported;
    const changed = join(directory, 'changed.ndjson');
    await writeFile(changed, (await readFile(path!, 'utf8')).replace('case 4711', 'case 4712'));
    const { code, lines, error } = await execute('revocations.js', [
      ...['--export', changed, ...keys],
      ...(await callAs('operator')),
    ]);
    expect({ code, lines }).toEqual({ code: 2, lines: [] });
    expect(error).toContain(`${changed} does not verify: `);
  });

  it('says that the service could not be reached', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const args = [...exported, ...(await callAs('operator', `https://127.0.0.1:${String(port)}`))];
    const { code, error } = await execute('revocations.js', args);
    expect([code, error]).toEqual([2, expect.stringContaining('ECONNREFUSED')]);
  });

  it.each([
    ['no export', (args: string[]) => args.slice(2), 'Give an --export and a --key.'],
    ['no service', (args: string[]) => args.slice(0, 4), 'Give --url, --cert, --cert-key and --ca.'],
    [
      'plain HTTP',
      (args: string[]) => args.map((arg) => arg.replace(/^https:/, 'http:')),
      '--url is not an https URL.',
    ],
  ])('refuses to run with %s', async (_, change, sentence) => {
    const { code, error } = await execute('revocations.js', change([...exported, ...(await callAs('operator'))]));
    expect(code).toBe(2);
    expect(error).toContain(sentence);
  });
});
