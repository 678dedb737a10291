import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { makeProblem } from './support/bodies.js';
import { makeTwin } from './support/certificate-twin.js';
import { type ClientCertificate } from './support/client.js';
import { LiveConnection } from './support/live-connection.js';
import { toSpiffeId, TestService } from './support/service.js';
import { until } from './support/until.js';

const UNIDENTIFIED = makeProblem(401, 'caller-unidentified');
const DENIED = makeProblem(403, 'permission-denied');
const HOUR = 3_600;

let service: TestService;
const open: LiveConnection[] = [];

beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
  service.clock.reset();
});

function connect(certificate: ClientCertificate = service.pki.certificateOf('auth-service')): LiveConnection {
  const connection = new LiveConnection(service.running.httpsUrl, service.pki.ca, certificate);
  open.push(connection);
  return connection;
}

async function readiness(): Promise<{ status: string; details: Record<string, Record<string, unknown>> }> {
  return (await fetch(`${service.running.managementUrl}/health/ready`)).json() as never;
}

const epoch = async (): Promise<unknown> => (await readiness()).details['certificate']?.['epoch'];

async function reloaded(change: () => Promise<unknown>): Promise<void> {
  const before = await epoch();
  await change();
  await until(async () => (await epoch()) !== before);
}

const policyFile = (): string => join(dirname(service.pki.directory), 'access-policy.yaml');

async function withPolicy(change: (text: string) => string, act: () => Promise<void>): Promise<void> {
  const original = await readFile(policyFile(), 'utf8');
  const digest = async (): Promise<unknown> => (await readiness()).details['access_policy']?.['digest'];
  const write = async (text: string): Promise<void> => {
    const before = await digest();
    await writeFile(policyFile(), text);
    await until(async () => (await digest()) !== before);
  };
  await write(change(original));
  try {
    await act();
  } finally {
    await write(original);
  }
}

describe('a certificate that is revoked', () => {
  it('is refused on its live connection, which is dropped, and at the next handshake', async () => {
    const certificate = await service.pki.issue({ uris: [toSpiffeId('auth-service')] });
    const caller = connect(certificate);
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
    await reloaded(() => service.pki.revoke(certificate));
    const answer = await caller.get();
    expect(answer).toMatchObject({ ...UNIDENTIFIED, connection: 1 });
    expect(answer.body['detail']).toBe('the certificate was revoked');
    expect(answer.headers.connection).toBe('close');
    await expect(caller.get()).rejects.toThrow();
  });

  it('leaves the other callers one last answer on their connection, and a new connection', async () => {
    const caller = connect();
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
    await reloaded(async () => service.pki.revoke(await service.pki.issue()));
    const last = await caller.get();
    expect(last).toMatchObject({ status: 200, connection: 1 });
    expect(last.headers.connection).toBe('close');
    const next = await caller.get();
    expect(next).toMatchObject({ status: 200, connection: 2 });
    expect(next.headers.connection).toBe('keep-alive');
  });

  it('is recorded in the audit log, as is the list that revoked it', async () => {
    const log = new AuditLog(service.client);
    const certificate = await service.pki.issue();
    const caller = connect(certificate);
    await caller.get();
    const events = await log.collectDuring(async () => {
      await reloaded(() => service.pki.revoke(certificate));
      await caller.get();
      await until(async () => (await log.events({ type: 'trust.reload' }))[0]?.unmapped?.['epoch'] === (await epoch()));
    });
    const codes = events.map(({ metadata, status_id, status_detail }) => [
      metadata.event_code,
      status_id,
      status_detail,
    ]);
    expect(codes).toContainEqual(['trust.reload', 1, undefined]);
    expect(codes).toContainEqual(['access.denied', 2, 'the certificate was revoked']);
  });
});

describe('files that cannot be used change nothing and are reported', () => {
  it.each([
    ['crl', 'ca.crl', 'no list', 'holds no revocation list'],
    ['key', 'server.key', 'no key', 'PASSKEY_TLS_'],
    ['ca', 'ca.crt', 'no certificate', 'CA_FILE: holds no certificate'],
  ])('when it is the %s file', async (_, name, content, told) => {
    const file = join(service.pki.directory, name);
    const good = await readFile(file);
    const before = await epoch();
    const caller = connect();
    await caller.get();
    await writeFile(file, content);
    try {
      await until(async () => (await readiness()).details['certificate']?.['refused'] !== undefined);
      const { status, details } = await readiness();
      const refused = expect.stringContaining(told);
      expect([status, details['certificate']]).toMatchObject(['ok', { epoch: before, refused }]);
      expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
    } finally {
      await writeFile(file, good);
    }
    await until(async () => (await readiness()).details['certificate']?.['refused'] === undefined);
    const [event] = await new AuditLog(service.client).events({ type: 'trust.reload' });
    expect(event).toMatchObject({ status: 'Failure', status_detail: expect.stringContaining(told) });
    const metrics = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
    expect(metrics).toMatch(/passkey_reloads_total\{resource="trust-store",outcome="failure"\} [1-9]/);
  });

  it('when it is the access policy, with a mistake', async () => {
    const good = await readFile(policyFile(), 'utf8');
    await writeFile(policyFile(), good.replace('passkeys:read', 'passkeys:everything'));
    await until(async () => (await readiness()).details['access_policy']?.['refused'] !== undefined);
    expect(await connect().get()).toMatchObject({ status: 200 });
    await writeFile(policyFile(), good);
    await until(async () => (await readiness()).details['access_policy']?.['refused'] === undefined);
  });
});

describe('a live connection notices that the access policy', () => {
  const denials: [string, (certificate: ClientCertificate) => string][] = [
    ['its identity', () => `id: ${toSpiffeId('auth-service')}`],
    ['its certificate’s serial number', (it) => `serial: "${parsed(it).serialNumber}"`],
    ['its certificate’s fingerprint', (it) => `fingerprint: "${parsed(it).fingerprint256}"`],
    ['its public key', (it) => `publicKey: "${spkiDigest(parsed(it))}"`],
  ];
  const parsed = ({ cert }: ClientCertificate) => new X509Certificate(cert);
  const spkiDigest = ({ publicKey }: X509Certificate) =>
    createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex');

  it.each(denials)('denies the caller by %s', async (_, denial) => {
    const certificate = await service.pki.issue();
    const caller = connect(certificate);
    expect(await caller.get()).toMatchObject({ status: 200 });
    const line = denial(certificate);
    await withPolicy(
      (text) => `${text}deny:\n  - { ${line} }\n`,
      async () => {
        expect(await caller.get()).toMatchObject({ ...DENIED, connection: 1 });
      },
    );
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
  });

  it('denies a certificate by its fingerprint: its twin is denied too, and the log has the fingerprint of the issued one', async () => {
    const { cert, key } = await service.pki.issue();
    const issued = parsed({ cert, key });
    const twin = makeTwin(issued, new X509Certificate(service.pki.ca));
    const caller = connect({ cert: twin.toString(), key });
    expect(await caller.get()).toMatchObject({ status: 200 });
    await withPolicy(
      (text) => `${text}deny:\n  - { fingerprint: "${issued.fingerprint256}" }\n`,
      async () => {
        expect(await caller.get()).toMatchObject({ ...DENIED, connection: 1 });
      },
    );
    const [event] = await new AuditLog(service.client).events({ type: 'access.denied' });
    const fingerprint = issued.fingerprint256.replaceAll(':', '').toLowerCase();
    expect(event).toMatchObject({ actor: { session: { credential_uid: fingerprint } } });
  });

  it('takes a permission away', async () => {
    const caller = connect();
    expect(await caller.get()).toMatchObject({ status: 200 });
    await withPolicy(
      (text) => text.replace('passkeys:confirm, passkeys:read,', 'passkeys:confirm,'),
      async () => {
        expect(await caller.get()).toMatchObject(DENIED);
      },
    );
    const [event] = await new AuditLog(service.client).events({ type: 'policy.reload' });
    expect(event).toMatchObject({ status: 'Success', unmapped: { changed: [toSpiffeId('auth-service')], added: [] } });
  });

  it('grants only until a given time', async () => {
    const caller = connect();
    const end = new Date(Date.now() + HOUR * 1_000).toISOString();
    await withPolicy(
      (text) => text.replace(/(\/auth-service\n)/, `$1    notAfter: ${end}\n`),
      async () => {
        expect(await caller.get()).toMatchObject({ status: 200 });
        service.clock.advance(HOUR + 60);
        expect(await caller.get()).toMatchObject(DENIED);
      },
    );
  });
});

describe('a connection', () => {
  it('ends at the next request after its certificate has ended', async () => {
    const caller = connect(await service.pki.issue({ notAfter: new Date(Date.now() + HOUR * 1_000) }));
    expect(await caller.get()).toMatchObject({ status: 200 });
    service.clock.advance(HOUR + 1);
    const answer = await caller.get();
    expect(answer).toMatchObject({ ...UNIDENTIFIED, connection: 1 });
    expect(answer.headers.connection).toBe('close');
  });

  it('ends at an age of 15 minutes, with an answer', async () => {
    const caller = connect();
    await caller.get();
    service.clock.advance(11 * 60);
    expect(await caller.get()).toMatchObject({ status: 200, headers: { connection: 'keep-alive' } });
    service.clock.advance(4 * 60);
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1, headers: { connection: 'close' } });
    expect(await caller.get()).toMatchObject({ status: 200, connection: 2, headers: { connection: 'keep-alive' } });
  });

  it('ends when the revocation list of its authority ends', async () => {
    const caller = connect(await service.pki.issue({ notAfter: new Date(Date.now() + 500 * 24 * HOUR * 1_000) }));
    expect(await caller.get()).toMatchObject({ status: 200 });
    service.clock.advance(398 * 24 * HOUR);
    const answer = await caller.get();
    expect(answer).toMatchObject(UNIDENTIFIED);
    expect(answer.body['detail']).toBe('the revocation list has ended');
    expect((await readiness()).status).toBe('error');
  });
});

describe('trust material in a directory that is swapped, as Kubernetes and spiffe-helper do', () => {
  it('is loaded when one symbolic link is turned', async () => {
    const directory = service.pki.directory;
    const data = join(directory, '..data');
    const versions = ['..2026_01', '..2026_02'].map((name) => join(directory, name));
    const names = ['server.crt', 'server.key', 'ca.crt', 'ca.crl'];
    for (const version of versions) {
      await mkdir(version);
      for (const name of names) await writeFile(join(version, name), await readFile(join(directory, name)));
    }
    await symlink('..2026_01', data);
    for (const name of names) {
      await symlink(`..data/${name}`, join(directory, `${name}.link`));
      await rename(join(directory, `${name}.link`), join(directory, name));
    }
    const certificate = await service.pki.issue();
    const caller = connect(certificate);
    await caller.get();
    await service.pki.revoke(certificate, versions[1]);
    await reloaded(async () => {
      await symlink('..2026_02', `${data}_tmp`);
      await rename(`${data}_tmp`, data);
    });
    expect(await caller.get()).toMatchObject(UNIDENTIFIED);
  });
});
