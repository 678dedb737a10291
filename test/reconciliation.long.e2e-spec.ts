import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { Reconciler } from '../src/reconciliation/reconciler.js';
import { AuditLog } from './support/audit-log.js';
import { BACKED_UP, keepTables, restoreTables } from './support/backup.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AuditEvent, Credential } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const RP = 'login.example.com';
const TABLES = ['credential', 'user_handle', 'relying_party'] as const;

let service: TestService;
let log: AuditLog;
let login: Ceremonies<string>;
let directory: string;
let users = 0;
let isChanged = false;

beforeAll(async () => {
  [service, directory] = await Promise.all([TestService.start(), mkdtemp(join(tmpdir(), 'passkey-reconcile-'))]);
  log = new AuditLog(service.client);
  login = await service.relyingParty(RP);
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});
afterEach(async () => {
  // Undoes what the test did by SQL, so that the rows and the log are as the service wrote them.
  if (isChanged) await copyRows('honest_%s', '%s', TABLES);
  isChanged = false;
});

const keep = (name: string, tables: readonly string[]): Promise<void> => keepTables(service, name, tables);

async function copyRows(from: string, to: string, tables: readonly string[]): Promise<void> {
  const copies = tables.map((table) => {
    const [source, target] = [from, to].map((name) => name.replace('%s', table));
    return `DELETE FROM ${target!}; INSERT INTO ${target!} SELECT * FROM ${source!}`;
  });
  await service.sql(copies.join('; '));
}

/** Changes the database as somebody who bypasses the service. */
async function tamper(sql: string): Promise<void> {
  if (!isChanged) await keep('honest', TABLES);
  isChanged = true;
  await service.sql(sql);
}

/** Puts rows back as they were when they were kept. */
async function putBack(name: string, tables: readonly string[]): Promise<void> {
  await tamper('SELECT');
  await copyRows(`${name}_%s`, '%s', tables);
}

const newUser = (): string => `user-${String((users += 1))}`;
const register = (user = newUser()): Promise<Credential> => login.registered(user, new Authenticator());

async function act(id: string, verb: string): Promise<void> {
  requireStatus(
    await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${verb}`, { reason: 'test' }),
    200,
  );
}

async function rename(id: string, name: string): Promise<void> {
  requireStatus(await service.client.call('auth-service', 'PATCH', `/v1/credentials/${id}`, { name }), 200);
}

async function erase(user: string): Promise<void> {
  requireStatus(await service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${RP}`), 204);
}

interface Outcome {
  readonly code: number;
  readonly findings: readonly Record<string, unknown>[];
  readonly summary: Record<string, unknown>;
  readonly error: string;
}

/** Runs the program against a database, with the service's role. */
async function reconcile(args: readonly string[], url = service.database.url): Promise<Outcome> {
  const node = ['--disable-warning=ExperimentalWarning', 'dist/commands/reconcile.js', '--json'];
  const env = { ...process.env, DATABASE_URL: url };
  const [code, told, error] = await new Promise<[number, string, string]>((resolve) => {
    execFile(process.execPath, [...node, ...args], { env }, (failed, stdout, stderr) => {
      resolve([failed ? Number(failed.code) : 0, stdout, stderr]);
    });
  });
  const lines = told.split('\n').filter((line) => line !== '');
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const { summary } = (parsed.pop() ?? {}) as { summary?: Record<string, unknown> };
  return { code, findings: parsed, summary: summary ?? {}, error };
}

/** Walks through everything, and returns the kind and the subject of each finding. */
async function find(args: readonly string[] = [], url?: string): Promise<unknown[]> {
  const { code, findings, error } = await reconcile(args, url);
  expect([code, error]).toEqual([findings.length > 0 ? 1 : 0, '']);
  return findings.map(({ kind, subject }) => [kind, subject]);
}

/** Writes an export of the sequenced events and the keys to files. @returns the arguments of the program */
async function exportLog(name: string): Promise<string[]> {
  const text = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
  const key = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200);
  const [exported, keys] = [join(directory, `${name}.ndjson`), join(directory, `${name}.pub`)];
  await Promise.all([writeFile(exported, text), writeFile(keys, key)]);
  return ['--export', exported, '--key', keys];
}

/** Sequences every event. */
async function settle(): Promise<void> {
  const { app } = service.running;
  const [pending, keeper] = [
    app.get(PendingEventsRepository, { strict: false }),
    app.get(CheckpointScheduler, { strict: false }),
  ];
  while ((await pending.findOldest()) !== undefined) {
    service.clock.advance(1);
    await keeper.tick();
  }
}

describe('an honest history', () => {
  it('contradicts nothing', async () => {
    const [kept, lost, stolen, gone] = [newUser(), newUser(), newUser(), newUser()];
    const authenticator = new Authenticator();
    const used = await login.registered(kept, authenticator);
    await rename(used.id, 'Blue key');
    for (let count = 0; count < 3; count += 1) await login.authenticated(authenticator);
    await act((await register(lost)).id, 'suspend');
    const back = await register(lost);
    await act(back.id, 'suspend');
    await act(back.id, 'reinstate');
    await act((await register(stolen)).id, 'revoke');
    await register(gone);
    await erase(gone);
    await register(gone);
    await login.requestRegistration(newUser());
    await service.relyingParty(RP, {}, { name: 'Renamed' });
    await settle();
    expect(await find()).toEqual([]);
    expect(await find(await exportLog('honest'))).toEqual([]);
  });

  it('contradicts nothing while it goes on', async () => {
    let walking = true;
    const change = async (): Promise<void> => {
      while (walking) {
        const user = newUser();
        const { id } = await register(user);
        await rename(id, 'a');
        await act(id, 'suspend');
        await act(id, 'reinstate');
        await act(id, 'revoke');
        await erase(user);
      }
    };
    const changes = Promise.all([change(), change(), change()]);
    const found = [await find(), await find(await exportLog('meanwhile')), await find()];
    walking = false;
    await changes;
    expect(found).toEqual([[], [], []]);
  });
});

describe('a row that somebody put back', () => {
  it.each(['revoke', 'suspend'])('is found: %s', async (verb) => {
    const { id } = await register();
    await keep('old', ['credential']);
    await act(id, verb);
    await putBack('old', ['credential']);
    expect(await find()).toEqual([['row-outdated', id]]);
  });

  it('is found when a sign-in had changed it', async () => {
    const rp = await service.relyingParty('growth.example.com', { backupEligibilityChange: 'accept-growth' });
    const authenticator = new Authenticator({ backupEligible: false, backedUp: false });
    const { id } = await rp.registered(newUser(), authenticator);
    await keep('old', ['credential']);
    await rp.authenticated(authenticator, { interference: { flags: { BE: true, BS: true } } });
    expect(await find()).toEqual([]);
    await putBack('old', ['credential']);
    expect(await find()).toEqual([['row-outdated', id]]);
  });

  it('is found when it is the user’s handle, or a passkey of an erased user', async () => {
    const user = newUser();
    const { id } = await register(user);
    await keep('old', TABLES);
    const [handle] = await service.sql<{ uid: string }>('SELECT audit_uid AS uid FROM user_handle WHERE user_id = $1', [
      user,
    ]);
    await erase(user);
    await putBack('old', ['credential']);
    expect(await find()).toEqual([['user-erased', id]]);
    await putBack('old', ['user_handle']);
    expect(await find()).toEqual([
      ['user-erased', id],
      ['user-erased', handle!.uid],
    ]);
  });

  it('is found when the user has registered again', async () => {
    const user = newUser();
    const { id } = await register(user);
    await keep('old', ['credential']);
    await erase(user);
    await register(user);
    await tamper(`INSERT INTO credential SELECT * FROM old_credential WHERE id = '${id}'`);
    expect(await find()).toEqual([['user-erased', id]]);
  });

  it('is found when it is a relying party', async () => {
    await keep('old', ['relying_party']);
    await service.relyingParty(RP, { userVerification: 'required' }, { name: 'Stricter' });
    await putBack('old', ['relying_party']);
    expect(await find()).toEqual([['row-outdated', RP]]);
  });
});

describe('an older sign count that somebody put back', () => {
  it('is not found, and a copy of the authenticator signs in until its count does not grow', async () => {
    const authenticator = new Authenticator();
    await login.registered(newUser(), authenticator, { interference: { signCount: 9 } });
    const signIn = async (signCount: number): Promise<number> =>
      (await login.authenticate(authenticator, { interference: { signCount } })).status;
    expect(await signIn(11)).toBe(200);
    await keep('old', ['credential']);
    expect([await signIn(20), await signIn(15)]).toEqual([200, 422]);
    await putBack('old', ['credential']);
    expect(await find()).toEqual([]);
    expect([await signIn(15), await signIn(21), await signIn(16)]).toEqual([200, 200, 422]);
  });

  it('is found when it is not the whole row: it does not fit the seal', async () => {
    const { id } = await login.registered(newUser(), new Authenticator(), { interference: { signCount: 9 } });
    await tamper(`UPDATE credential SET sign_count = 0 WHERE id = '${id}'`);
    expect((await service.client.call('auth-service', 'GET', `/v1/credentials/${id}`)).status).toBe(404);
  });
});

describe('a row that the log does not know', () => {
  it('is found', async () => {
    const [{ id }, made] = [await register(), '01955120-7c4b-7000-8000-000000000001'];
    await tamper(
      `CREATE TEMP TABLE made AS TABLE credential; UPDATE made SET id = '${made}', credential_id = '\\x01' WHERE id = '${id}';
       INSERT INTO credential SELECT * FROM made WHERE id = '${made}'; DROP TABLE made;
       INSERT INTO relying_party SELECT 'made.example', name, origins, enabled, policy, version, created_at, updated_at, seal FROM relying_party WHERE rp_id = '${RP}'`,
    );
    expect(await find()).toEqual([
      ['row-unrecorded', made],
      ['row-unrecorded', 'made.example'],
    ]);
  });

  it('is found when it is newer than the log', async () => {
    await tamper('UPDATE relying_party SET version = version + 1');
    expect(await find()).toContainEqual(['row-unrecorded', RP]);
  });
});

describe('a row that is gone', () => {
  it('is found once, however many events tell of it', async () => {
    const { id } = await register();
    await rename(id, 'a');
    await act(id, 'suspend');
    await tamper(`DELETE FROM credential WHERE id = '${id}'; DELETE FROM relying_party WHERE rp_id = '${RP}'`);
    expect(await find()).toEqual([
      ['row-missing', id],
      ['row-missing', RP],
    ]);
  });

  it('is found when it is the user of a passkey', async () => {
    const user = newUser();
    const { id } = await register(user);
    await tamper(`DELETE FROM user_handle WHERE user_id = '${user}'`);
    expect(await find()).toEqual([['user-missing', id]]);
  });
});

describe('a backup of yesterday', () => {
  it('is found out by an export of today: what came back, and what is missing', async () => {
    const [erased, stranger] = [newUser(), newUser()];
    const [stolen, renamed, theirs] = [await register(), await register(), await register(erased)];
    const [handle] = await service.sql<{ uid: string }>('SELECT audit_uid AS uid FROM user_handle WHERE user_id = $1', [
      erased,
    ]);
    await settle();
    await keep('yesterday', BACKED_UP);
    await act(stolen.id, 'revoke');
    await rename(renamed.id, 'New name');
    await erase(erased);
    const since = await register(stranger);
    await service.relyingParty('new.example');
    await service.relyingParty(RP, {}, { name: 'Today' });
    await settle();
    const today = await exportLog('today');
    expect(await find(today)).toEqual([]);
    const restored = await restoreTables(service, 'yesterday');
    expect(await find([], restored.url)).toEqual([]);
    const found = await find(today, restored.url);
    await restored.drop();
    expect(new Set(found)).toEqual(
      new Set([
        ['row-outdated', stolen.id],
        ['row-outdated', renamed.id],
        ['user-erased', theirs.id],
        ['user-erased', handle!.uid],
        ['row-outdated', RP],
        ['row-missing', since.id],
        ['row-missing', 'new.example'],
      ]),
    );
    expect(found).toHaveLength(7);
  });
});

describe('the program', () => {
  it('believes no export that does not verify, and none of another log', async () => {
    const [, path, , key] = await exportLog('genuine');
    const text = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
    const altered = join(directory, 'altered.ndjson');
    await writeFile(altered, text.replace('"credential.register"', '"credential.rename"'));
    const refused = await reconcile(['--export', altered, '--key', key!]);
    expect(refused).toMatchObject({
      code: 2,
      findings: [],
      error: expect.stringContaining(`${altered} does not verify: line`),
    });
    expect(await reconcile(['--export', path!])).toMatchObject({
      code: 2,
      error: expect.stringMatching(/^Give --export and --key/),
    });
  });
});

describe('the service', () => {
  const reconciler = (): Reconciler => service.running.app.get(Reconciler);

  /** Walks through everything as the replica does in the background. */
  async function walk(): Promise<void> {
    await service.sql(
      `UPDATE reconciliation SET phase = 'credential', after = NULL, began_at = NULL, found = '{}', findings = '{}',
         due_at = '2020-01-01', completed_at = NULL`,
    );
    service.clock.advance(61);
    await until(async () => {
      service.clock.advance(2);
      await reconciler().tick();
      return reconciler().getState().completedAt !== undefined;
    });
  }

  const findEvents = (credentialId: string): Promise<AuditEvent[]> =>
    log.events({ type: 'reconciliation.finding', credentialId });

  it('records each finding once, however often it walks, and counts what still is', async () => {
    const { id, credentialId } = await register();
    await keep('old', ['credential']);
    await act(id, 'revoke');
    await putBack('old', ['credential']);
    await walk();
    await settle();
    await walk();
    const events = await findEvents(id);
    expect(events).toMatchObject([
      {
        status_code: 'row-outdated',
        severity: 'High',
        unmapped: { table: 'credential', rp_id: RP, credential: { uid: id, credential_id: credentialId } },
      },
    ]);
    expect(reconciler().getState()).toMatchObject({ findings: { 'row-outdated': 1 }, failure: undefined });
    expect(await service.readMetric('passkey_reconciliation_findings')).toBe(1);
    await tamper(`DELETE FROM credential WHERE id = '${id}'`);
    await walk();
    expect((await findEvents(id)).map(({ status_code }) => status_code)).toEqual(['row-missing', 'row-outdated']);
    expect(reconciler().getState().findings).toEqual({ 'row-missing': 1 });
  });

  it('stays ready and says what it found', async () => {
    const { id } = await register();
    await tamper(`DELETE FROM credential WHERE id = '${id}'`);
    await walk();
    const answer = await fetch(`${service.running.managementUrl}/health/ready`);
    const { details } = (await answer.json()) as { details: Record<string, unknown> };
    expect(answer.status).toBe(200);
    expect(details['reconciliation']).toMatchObject({ status: 'up', findings: { 'row-missing': 1 } });
  });
});
