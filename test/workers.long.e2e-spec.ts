import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectPlainly } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import pg from 'pg';
import { toFirstId } from '../src/audit/audit-event.repository.js';
import { DevelopmentCa } from '../dev/development-ca.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem, type RegistrationChallenge } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { ClientCertificate } from './support/client.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { LiveConnection } from './support/live-connection.js';
import { Pki } from './support/pki.js';
import { RegistrationLoad } from './support/registration-load.js';
import { ServiceProcess } from './support/service-process.js';
import { until } from './support/until.js';

const WORKERS = { PASSKEY_WORKERS: '2' };

type Detail = { status: string; pid: number } & Record<string, Record<string, unknown>>;

let dataDir: string;
let database: TestDatabase;
let sql: pg.Pool;
let pki: Pki;
const open: LiveConnection[] = [];

async function readiness({ managementUrl }: ServiceProcess): Promise<{ status: number; workers: Detail[] }> {
  const response = await fetch(`${managementUrl}/health/ready`);
  const { details } = (await response.json()) as { details: Record<string, Detail> };
  return { status: response.status, workers: [details['worker-1']!, details['worker-2']!] };
}

async function pidsOf(service: ServiceProcess): Promise<number[]> {
  return (await readiness(service)).workers.map(({ pid }) => pid);
}

async function metrics({ managementUrl }: ServiceProcess): Promise<(series: string) => number> {
  const text = await (await fetch(`${managementUrl}/metrics`)).text();
  return (series) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length),
    );
}

/** Counts the files that the workers have open; 0 if the system does not say. */
async function descriptorsOf(service: ServiceProcess): Promise<number> {
  const pids = process.platform === 'linux' ? await pidsOf(service) : [];
  const open = await Promise.all(pids.map((pid) => readdir(`/proc/${String(pid)}/fd`)));
  return open.flat().length;
}

/** Returns the fingerprint of the certificate that a new connection receives. */
async function certificateAt({ url }: ServiceProcess): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), ca: pki.ca, ...pki.certificateOf('auth-service') });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** Makes two connections by default, one for each worker, because connections go to the workers in turn. */
function openConnections(
  service: ServiceProcess,
  count = 2,
  from = pki,
  certificate?: ClientCertificate,
): LiveConnection[] {
  const shown = certificate ?? from.certificateOf('auth-service');
  const made = Array.from({ length: count }, () => new LiveConnection(service.url, from.ca, shown));
  open.push(...made);
  return made;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function recorded(type: string, since: number): Promise<Record<string, unknown>[]> {
  const { rows } = await sql.query<{ event: { unmapped: Record<string, unknown> } }>(
    'SELECT event::json AS event FROM audit_event WHERE type = $1 AND id >= $2 ORDER BY id',
    [type, toFirstId(since)],
  );
  return rows.map(({ event }) => event.unmapped);
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  database = await createTestDatabase();
  sql = new pg.Pool({ connectionString: database.ownerUrl, max: 2 }).on('error', () => undefined);
  pki = new Pki(join(dataDir, 'pki'));
});
afterAll(async () => {
  for (const connection of open) connection.close();
  await sql.end();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

describe('two workers', () => {
  let service: ServiceProcess;
  let start: number;
  beforeAll(async () => {
    start = Date.now();
    service = await ServiceProcess.start(dataDir, database.url, WORKERS);
  });
  afterAll(() => service.stop());

  it('serve when the port is announced; readiness asks both, of which the first runs the log', async () => {
    const { status, workers } = await readiness(service);
    expect([status, new Set(workers.map(({ pid }) => pid)).size]).toEqual([200, 2]);
    for (const worker of workers) {
      expect(worker).toMatchObject({ status: 'up', database: { status: 'up' }, certificate: { epoch: 1 } });
    }
    expect(workers.map(({ audit }) => audit?.['size'])).toEqual([expect.any(Number), undefined]);
  });

  it('each record their start, in one audit log', async () => {
    const pids = await pidsOf(service);
    expect(await recorded('service.start', start)).toMatchObject([
      { worker: 1, workers: 2, pid: pids[0], https: service.url },
      { worker: 2, workers: 2, pid: pids[1], https: service.url },
    ]);
  });

  it('share challenges, so that the other redeems what one issued, once', async () => {
    const [a, b] = openConnections(service);
    const body = service.ceremonies.registrationRequest('ada');
    const challenge = requireStatus(
      await a!.post('/v1/challenges/registration', body),
      201,
    ) as unknown as RegistrationChallenge;
    const response = new Authenticator().create(challenge.publicKey, service.ceremonies.origin);
    const answer = { challengeId: challenge.challengeId, response };
    expect(await b!.post('/v1/credentials', answer)).toMatchObject({ status: 201 });
    for (const connection of [a, b]) {
      expect(await connection!.post('/v1/credentials', answer)).toMatchObject(makeProblem(409, 'challenge-spent'));
    }
  });

  it('share the metrics, in which counters are sums and equal gauges appear once', async () => {
    const series =
      'passkey_http_request_duration_seconds_count{method="GET",route="/v1/relying-parties",status_code="403"}';
    for (const connection of openConnections(service, 6)) await connection.get('/v1/relying-parties');
    const read = await metrics(service);
    expect(read(series)).toBe(6);
    expect([read('passkey_workers_serving'), read('passkey_trust_store_epoch')]).toEqual([2, 1]);
    const ends = new X509Certificate(pki.certificateOf('server').cert).validToDate.getTime() / 1_000;
    expect(read('passkey_certificate_expiry_timestamp_seconds{file="certificate"}')).toBe(ends);
    const { rows } = await sql.query<{ size: number }>('SELECT max(size)::int AS size FROM audit_checkpoint');
    expect(read('passkey_audit_log_sequenced_events')).toBeLessThanOrEqual(rows[0]!.size);
  });

  it('keep no caller out while thousands of connections say nothing, and hold nothing when those are gone', async () => {
    const handshakes = async (): Promise<number> =>
      (await metrics(service))('passkey_tls_connections{state="handshake"}');
    const before = await descriptorsOf(service);
    const silent = Array.from({ length: 2_000 }, () => connectPlainly(Number(new URL(service.url).port), '127.0.0.1'));
    for (const socket of silent) socket.on('error', () => undefined).resume();
    await until(async () => (await handshakes()) > 100);
    for (const connection of openConnections(service)) expect(await connection.get()).toMatchObject({ status: 200 });
    expect(await handshakes()).toBeLessThanOrEqual(1_000);
    expect((await readiness(service)).status).toBe(200);
    for (const socket of silent) socket.destroy();
    await until(async () => (await handshakes()) === 0);
    await until(async () => (await descriptorsOf(service)) <= before + 20);
  });

  it('both load a new access policy and record it', async () => {
    const since = Date.now();
    const before = (await readiness(service)).workers[0]!['access_policy']?.['digest'];
    await appendFile(join(dataDir, 'access-policy.yaml'), 'deny:\n  - serial: "00"\n');
    const digest = await until(async () => {
      const [first, second] = (await readiness(service)).workers.map(({ access_policy: policy }) => policy?.['digest']);
      return first !== before && first === second && first;
    });
    const reloads = await until(async () => {
      const events = await recorded('policy.reload', since);
      return events.length === 2 && events;
    });
    expect(reloads.map(({ worker }) => worker).sort()).toEqual([1, 2]);
    for (const reload of reloads) expect(reload).toMatchObject({ digest, denials_added: ['serial: 00'] });
  });

  it('both load a new certificate and a new revocation list, and refuse a revoked caller on live connections too', async () => {
    const revoked = await pki.issue();
    const live = openConnections(service, 2, pki, revoked);
    for (const connection of live) expect(await connection.get()).toMatchObject({ status: 200 });
    const ca = await DevelopmentCa.load(pki.ca, await readFile(join(dataDir, 'pki/ca.key'), 'utf8'));
    const { certificatePem, keyPem } = await ca.issueServer();
    await writeFile(join(dataDir, 'pki/server.key'), keyPem);
    await writeFile(join(dataDir, 'pki/server.crt'), certificatePem);
    await pki.revoke(revoked);
    for (const connection of live) await until(async () => (await connection.get()).status === 401);
    const shown = await Promise.all(Array.from({ length: 4 }, () => certificateAt(service)));
    expect(new Set(shown)).toEqual(new Set([new X509Certificate(certificatePem).fingerprint256]));
  });

  it('lose nothing acknowledged when one is killed under load: it is replaced, and callers of the other notice nothing', async () => {
    const [, killed] = await pidsOf(service);
    const since = Date.now();
    const idle = openConnections(service);
    for (const connection of idle) await connection.get();
    const load = new RegistrationLoad(service.ceremonies);
    await load.more(16);
    const before = await metrics(service);
    process.kill(killed!, 'SIGKILL');

    const after = await Promise.allSettled(idle.map((connection) => connection.get()));
    const kept = after.filter((answer) => answer.status === 'fulfilled' && answer.value.connection === 1);
    expect(kept).toMatchObject([{ value: { status: 200 } }]);
    await until(async () => (await readiness(service)).status === 200 && (await pidsOf(service))[1] !== killed);
    await load.more(16);
    for (const { id } of await load.end()) {
      requireStatus(await service.client.call('auth-service', 'GET', `/v1/credentials/${id}`), 200);
    }
    const replacement = { worker: 2, workers: 2, replaces: { pid: killed, code: null, signal: 'SIGKILL' } };
    expect(await recorded('service.start', since)).toMatchObject([replacement]);
    const read = await metrics(service);
    expect([read('passkey_worker_exits_total'), read('passkey_workers_serving')]).toEqual([1, 2]);
    const registered = 'passkey_audit_events_total{type="credential.register",outcome="success",reason=""}';
    expect(read(registered)).toBeGreaterThan(before(registered));
  });

  it('answer the requests that came before SIGTERM, record their stop and end with 0', async () => {
    const since = Date.now();
    const body = JSON.stringify(service.ceremonies.registrationRequest('grace'));
    const halves = await Promise.all(
      openConnections(service).map((connection) => connection.beginPost('/v1/challenges/registration', body)),
    );
    process.kill(service.pid, 'SIGTERM');
    await until(async () => (await recorded('service.stop', since)).length === 2);
    for (const finish of halves)
      expect(await finish()).toMatchObject({ status: 201, headers: { connection: 'close' } });
    expect(await service.ended).toBe(0);
    expect((await recorded('service.stop', since)).map(({ worker }) => worker).sort()).toEqual([1, 2]);
  });
});

describe('the primary', () => {
  it.each([
    ['Ctrl-C', 'SIGINT'],
    ['a closed terminal', 'SIGHUP'],
  ] as const)(
    'treats %s, which also reaches the workers, as one stop, and its embedded database outlives them',
    async (_, signal) => {
      const service = await ServiceProcess.start(join(dataDir, 'embedded'), '', WORKERS);
      const [connection] = openConnections(service, 1, new Pki(join(dataDir, 'embedded/pki')));
      const body = JSON.stringify(service.ceremonies.registrationRequest('grace'));
      const finish = await connection!.beginPost('/v1/challenges/registration', body);
      for (const pid of [...(await pidsOf(service)), service.pid]) process.kill(pid, signal);
      await until(() =>
        fetch(service.managementUrl).then(
          () => false,
          () => true,
        ),
      );
      expect(await finish()).toMatchObject({ status: 201 });
      expect(await service.ended).toBe(0);
    },
  );

  it('takes its workers along when it is killed, after they have answered their requests', async () => {
    const since = Date.now();
    const service = await ServiceProcess.start(dataDir, database.url, WORKERS);
    const pids = await pidsOf(service);
    const body = JSON.stringify(service.ceremonies.registrationRequest('joan'));
    const halves = await Promise.all(
      openConnections(service).map((connection) => connection.beginPost('/v1/challenges/registration', body)),
    );
    await service.kill();
    await until(async () => (await recorded('service.stop', since)).length === 2);
    for (const finish of halves) expect(await finish()).toMatchObject({ status: 201 });
    await until(() => !pids.some(isAlive));
  });

  it('ends and reports once what only a worker can find out', async () => {
    const parties = join(dataDir, 'parties.yaml');
    await writeFile(parties, '- rpId: https://example.com');
    const starting = ServiceProcess.start(dataDir, database.url, { ...WORKERS, PASSKEY_RELYING_PARTIES_FILE: parties });
    const told = await starting.then(() => 'started', String);
    expect(told).toContain('the service ended with 1');
    expect(told.split('The settings do not allow a start')).toHaveLength(2);
    expect(told).toContain('parties.yaml, entry 1: ');
  });
});
