import 'reflect-metadata';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { KeyUsageFlags } from '@peculiar/x509';
import type { Issued } from './support/authenticator/certificate-chain.js';
import { makeProblem } from './support/bodies.js';
import type { ClientCertificate } from './support/client.js';
import { LiveConnection } from './support/live-connection.js';
import { makeRevocationList, readSerial } from './support/revocation-lists.js';
import { TestService } from './support/service.js';
import { exportKey, issueAuthority, issueCaller, issueServer, TrustFiles } from './support/trust-files.js';
import { until } from './support/until.js';

const UNIDENTIFIED = makeProblem(401, 'caller-unidentified');
const HOUR_MS = 3_600_000;
const POLICY = `version: 1
trustDomain: bank.example
services:
  - id: spiffe://bank.example/auth-service
    permissions: [passkeys:read]
`;
const TRUST_BUNDLE = 'bank.example.spiffe-trust-bundle.x509.pem';
const CREDENTIAL_BUNDLE = 'credential-bundle.private-key.x509.pem';

let trust: TrustFiles;
let folder: string;
let authority: Issued;
let service: TestService;
const open: LiveConnection[] = [];

/** Replaces a file as a platform does: under another name first, then by a rename. */
function deliver(name: string, content: string): void {
  writeFileSync(join(folder, `.${name}`), content);
  renameSync(join(folder, `.${name}`), join(folder, name));
}

const bundle = (server: Issued, ...chain: Issued[]): string =>
  exportKey(server) + [server, ...chain].map(({ pem }) => pem).join('');

beforeAll(async () => {
  trust = await TrustFiles.create();
  folder = trust.path('spiffe');
  mkdirSync(folder);
  // A mesh's own authority: it may sign certificates and nothing else, and publishes no list.
  authority = await issueAuthority({ subject: 'O=cluster.local', keyUsage: KeyUsageFlags.keyCertSign });
  deliver(TRUST_BUNDLE, authority.pem);
  deliver('other.example.spiffe-trust-bundle.x509.pem', trust.root.pem);
  deliver(CREDENTIAL_BUNDLE, bundle(await issueServer(authority)));
  trust.write('policy.yaml', POLICY);
  service = await TestService.start({
    accessPolicy: POLICY,
    env: { SPIFFE_CREDENTIAL_FOLDER: folder, PASSKEY_TLS_SHORT_LIVED: '24h' },
  });
});
afterAll(async () => {
  await service.stop();
  trust.remove();
});
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});

/** The name in the certificates of these tests. */
const toLocalhost = ({ running }: TestService): string => running.httpsUrl.replace('127.0.0.1', 'localhost');

async function connect(lifeMs: number, by = authority): Promise<{ caller: LiveConnection; issued: Issued }> {
  const notBefore = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 60_000);
  const issued = await issueCaller(by, { notBefore, notAfter: new Date(notBefore.getTime() + lifeMs) });
  const certificate: ClientCertificate = { cert: issued.pem, key: exportKey(issued) };
  const caller = new LiveConnection(toLocalhost(service), authority.pem, certificate);
  open.push(caller);
  return { caller, issued };
}

async function readDetail(indicator: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`${service.running.managementUrl}/health/ready`);
  return ((await answer.json()) as { details: Record<string, Record<string, unknown>> }).details[indicator]!;
}

describe('callers of an authority that publishes no revocation list', () => {
  it('are served if their certificates are short-lived', async () => {
    const { caller } = await connect(24 * HOUR_MS);
    expect(await caller.get()).toMatchObject({ status: 200 });
  });

  it('are refused if their certificates live longer, and the log names the certificate', async () => {
    const { caller, issued } = await connect(24 * HOUR_MS + 1_000);
    const answer = await caller.get();
    expect(answer).toMatchObject(UNIDENTIFIED);
    expect(answer.body['detail']).toContain('PASSKEY_TLS_SHORT_LIVED');
    expect(await caller.get()).toMatchObject({ ...UNIDENTIFIED, connection: 2 });
    const [{ event } = {}] = await service.sql<{ event: string }>(
      `SELECT event FROM audit_event WHERE type = 'access.denied' ORDER BY id DESC LIMIT 1`,
    );
    expect(JSON.parse(event!)).toMatchObject({
      status_detail: answer.body['detail'],
      unmapped: { certificate: { serial: issued.certificate.serialNumber.toLowerCase(), subject: 'CN=auth-service' } },
    });
  });

  it('are refused if their certificate is of another trust domain’s authority', async () => {
    const { caller } = await connect(HOUR_MS, trust.root);
    await expect(caller.get()).rejects.toThrow();
  });

  it('are seen by operators: readiness says how long a certificate may live', async () => {
    expect(await readDetail('crl')).toEqual({ status: 'up', shortLivedHours: 24 });
    const metrics = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
    expect(metrics).toMatch(/passkey_certificate_expiry_timestamp_seconds\{file="ca"\}/);
    expect(metrics).not.toMatch(/passkey_certificate_expiry_timestamp_seconds\{file="crl"\}/);
  });
});

describe('a SPIFFE credential folder', () => {
  it('is taken anew when the platform renews the certificate with another key', async () => {
    const { caller } = await connect(HOUR_MS);
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
    const { epoch } = await readDetail('certificate');
    deliver(CREDENTIAL_BUNDLE, bundle(await issueServer(authority)));
    await until(async () => (await readDetail('certificate'))['epoch'] !== epoch);
    expect(await caller.get()).toMatchObject({ status: 200, connection: 1 });
    expect(await caller.get()).toMatchObject({ status: 200, connection: 2 });
  });

  it('with a bundle that does not fit changes nothing, and says so', async () => {
    const stranger = await issueServer(authority);
    deliver(CREDENTIAL_BUNDLE, exportKey(stranger) + (await issueServer(authority)).pem);
    await until(async () => (await readDetail('certificate'))['refused'] !== undefined);
    const { caller } = await connect(HOUR_MS);
    expect(await caller.get()).toMatchObject({ status: 200 });
    deliver(CREDENTIAL_BUNDLE, bundle(await issueServer(authority)));
    await until(async () => (await readDetail('certificate'))['refused'] === undefined);
  });
});

it('a caller whose certificate a list revokes is refused, although OpenSSL gets no list', async () => {
  const root = await issueAuthority();
  const revoked = await issueCaller(root, { notAfter: new Date(Date.now() + HOUR_MS) });
  const welcome = await issueCaller(root, { notAfter: new Date(Date.now() + HOUR_MS) });
  const server = await issueServer(root);
  trust.write('listed.pem', root.pem);
  trust.write('listed.crl', makeRevocationList(root, { serials: [readSerial(revoked)] }));
  trust.write('listed.crt', server.pem);
  trust.write('listed.key', exportKey(server));
  const other = await TestService.start({
    accessPolicy: POLICY,
    env: {
      PASSKEY_TLS_SHORT_LIVED: '48h',
      PASSKEY_TLS_CERT_FILE: trust.path('listed.crt'),
      PASSKEY_TLS_KEY_FILE: trust.path('listed.key'),
      PASSKEY_TLS_CA_FILE: trust.path('listed.pem'),
      PASSKEY_TLS_CRL_FILE: trust.path('listed.crl'),
    },
  });
  try {
    const ask = (issued: Issued) => {
      const connection = new LiveConnection(toLocalhost(other), root.pem, {
        cert: issued.pem,
        key: exportKey(issued),
      });
      open.push(connection);
      return connection.get();
    };
    expect(await ask(revoked)).toMatchObject({ ...UNIDENTIFIED, body: { detail: 'the certificate was revoked' } });
    expect(await ask(welcome)).toMatchObject({ status: 200 });
  } finally {
    await other.stop();
  }
});
