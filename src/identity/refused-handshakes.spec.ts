import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect as connectPlainly, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeAudit, countRefusals } from '../../test/support/fake-audit.js';
import { type CertificateProfile, issueByStranger, KeyUsageFlags, Pki } from '../../test/support/pki.js';
import { DevelopmentCa } from '../../dev/development-ca.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { Metrics } from '../telemetry/metrics.js';
import { REFUSALS, recordRefusedHandshakes } from './refused-handshakes.js';
import { createTlsContext, createTlsOptions } from './tls-options.js';

let directory: string;
let audit: FakeAudit;
let metrics: Metrics;
const told: unknown[] = [];

const path = (name: string): string => join(directory, 'pki', name);
const read = (name: string): string => readFileSync(path(name), 'utf8');

beforeAll(async () => {
  const keep = (line: unknown): void => void told.push(line);
  Logger.overrideLogger({ log: keep, error: keep, warn: keep });
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  await prepareDevelopment(directory);
  const { serialNumber } = new X509Certificate(read('stranger.crt'));
  const authority = await DevelopmentCa.load(read('ca.crt'), read('ca.key'));
  writeFileSync(path('ca.crl'), await authority.issueRevocationList([serialNumber]));
});
beforeEach(() => {
  audit = new FakeAudit();
  metrics = new Metrics();
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const counted = async (): Promise<number> => (await metrics.handshakesRefused.get()).values[0]?.value ?? 0;

describe('a refused handshake', () => {
  let clientPort: number | undefined;

  async function refused(client: (port: number) => Socket): Promise<void> {
    const files = ['server.crt', 'server.key', 'ca.crt', 'ca.crl'].map((name) => readFileSync(path(name)));
    const [cert, key, ca, crl] = files as [Buffer, Buffer, Buffer, Buffer];
    const server = createServer(createTlsOptions(createTlsContext({ cert, key, ca, crl })));
    recordRefusedHandshakes(server, audit.refusals, metrics);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const noticed = once(server, 'tlsClientError');
      const socket = client((server.address() as AddressInfo).port);
      socket.on('error', () => undefined);
      socket.on('connect', () => (clientPort = socket.localPort));
      await noticed;
    } finally {
      server.close();
    }
  }
  const byTls = (options: ConnectionOptions) => (port: number) =>
    connect({ host: '127.0.0.1', port, ca: read('ca.crt'), servername: 'localhost', ...options }).resume();

  const issue = (profile: Partial<CertificateProfile>) => new Pki(join(directory, 'pki')).issue(profile);
  async function issueElsewhere({ isWhole = false } = {}): Promise<ConnectionOptions> {
    const authority = await DevelopmentCa.create();
    const { certificatePem, keyPem } = await authority.issueService('spiffe://passkey-manager.local/auth-service');
    return { cert: isWhole ? certificatePem + authority.certificatePem : certificatePem, key: keyPem };
  }

  async function issueWithoutList(): Promise<ConnectionOptions> {
    const intermediate = await issue({ ca: true, keyUsage: KeyUsageFlags.keyCertSign });
    const authority = mkdtempSync(join(directory, 'intermediate-'));
    writeFileSync(join(authority, 'ca.crt'), intermediate.cert);
    writeFileSync(join(authority, 'ca.key'), intermediate.key);
    const { cert, key } = await new Pki(authority).issue();
    return { cert: `${cert}\n${intermediate.cert}`, key };
  }

  it('of a revoked caller is recorded with the reason, which only its connection knows', async () => {
    await refused(byTls({ cert: read('stranger.crt'), key: read('stranger.key') }));
    expect(audit.entries).toEqual([
      { type: 'handshake.refused', outcome: 'failure', reason: 'CERT_REVOKED', detail: REFUSALS['CERT_REVOKED'] },
    ]);
    expect(audit.contexts).toEqual([
      { requestId: '', operation: 'TLS handshake', source: { ip: '127.0.0.1', port: expect.any(Number) } },
    ]);
    expect(audit.contexts[0]?.source.port).toBe(clientPort);
    expect(await counted()).toBe(1);
  });

  it.each<[string, () => Promise<ConnectionOptions> | ConnectionOptions, string]>([
    ['of an intermediate without a list', () => issueWithoutList(), 'UNABLE_TO_GET_CRL'],
    ['that has expired', () => issue({ notAfter: new Date(Date.now() - 3_600_000) }), 'CERT_HAS_EXPIRED'],
    ['that is not valid yet', () => issue({ notBefore: new Date(Date.now() + 3_600_000) }), 'CERT_NOT_YET_VALID'],
    ['for a server', () => ({ cert: read('server.crt'), key: read('server.key') }), 'INVALID_PURPOSE'],
    ['of an unknown authority', () => issueElsewhere(), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    [
      'that comes with another authority of the same name',
      () => issueElsewhere({ isWhole: true }),
      'CRL_SIGNATURE_FAILURE',
    ],
    ['that an authority of the same name signed', () => issueByStranger(), 'CERT_SIGNATURE_FAILURE'],
  ])('of a client whose certificate is one %s is recorded in words', async (_, certificate, code) => {
    await refused(byTls(await certificate()));
    expect(audit.entries).toMatchObject([{ reason: code, detail: REFUSALS[code] }]);
  });

  it.each<[string, () => ConnectionOptions]>([
    ['without a certificate', () => ({})],
    ['that speaks TLS 1.2', () => ({ maxVersion: 'TLSv1.2' })],
  ])('of a caller %s is recorded with the code of the protocol', async (_, options) => {
    await refused(byTls(options()));
    expect(audit.entries).toMatchObject([{ type: 'handshake.refused', reason: expect.stringMatching(/^ERR_SSL_/) }]);
  });

  it('of a client that does not speak TLS is recorded too', async () => {
    await refused((port) => {
      const socket = connectPlainly(port, '127.0.0.1').resume();
      socket.write('GET / HTTP/1.1\r\n\r\n');
      return socket;
    });
    expect(audit.entries).toMatchObject([{ type: 'handshake.refused', reason: expect.stringMatching(/^ERR_SSL_/) }]);
  });
});

describe('the codes of OpenSSL’s verdicts', () => {
  it('are all in the runbook, with what to do', () => {
    const runbook = readFileSync('docs/runbook.md', 'utf8');
    const [page = ''] = /^### Handshakes are refused$.*?(?=^### )/ms.exec(runbook) ?? [];
    const named = [...page.matchAll(/^ *\| .*? \|/gm)].flatMap(([cell]) => [...cell.matchAll(/`([A-Z_]+)`/g)]);
    expect(named.map(([, code]) => code).sort()).toEqual(Object.keys(REFUSALS).sort());
  });

  it('have words that an event can hold', () => {
    for (const words of Object.values(REFUSALS)) expect(words.length).toBeLessThanOrEqual(200);
  });
});

describe('a client without a certificate cannot fill the audit log', () => {
  const knock = (server: EventEmitter, count: number, remoteAddress = '192.0.2.7'): void => {
    for (let knocks = 0; knocks < count; knocks += 1) {
      const socket = { remoteAddress, remotePort: 7 };
      server.emit('tlsClientError', Object.assign(new Error('refused'), { code: 'ERR_SSL_X' }), socket);
    }
  };
  const settled = (): Promise<unknown> => new Promise(setImmediate);
  const sources = () => audit.contexts.map((context) => context?.source.ip);

  it('because an address has 20 records a minute, and takes none from another one', async () => {
    const server = new EventEmitter();
    recordRefusedHandshakes(server as Server, audit.refusals, metrics);
    for (let round = 0; round < 10; round += 1) {
      knock(server, 100);
      await settled();
    }
    knock(server, 1, '198.51.100.3');
    await settled();
    expect(sources().filter((ip) => ip === '192.0.2.7')).toHaveLength(20);
    expect(sources()).toContain('198.51.100.3');
    await audit.refusals.write();
    expect(countRefusals(audit)).toBe(1_001);
    expect(await counted()).toBe(1_001);
  });

  it('with a long message', () => {
    const server = new EventEmitter();
    recordRefusedHandshakes(server as Server, audit.refusals, metrics);
    server.emit('tlsClientError', new RangeError('x'.repeat(10_000)), { remoteAddress: '192.0.2.7', remotePort: 7 });
    expect(audit.entries).toMatchObject([{ reason: 'RangeError', detail: 'x'.repeat(200) }]);
    expect(audit.contexts).toMatchObject([{ source: { ip: '192.0.2.7', port: 7 } }]);
  });

  it('and a record that cannot be written stops nothing, but is reported', async () => {
    const server = new EventEmitter();
    recordRefusedHandshakes(server as Server, audit.refusals, metrics);
    audit.fails = () => true;
    knock(server, 1);
    await new Promise(setImmediate);
    expect(await counted()).toBe(1);
    expect(told).toEqual([
      {
        message: 'a refused handshake is not recorded yet',
        sourceIp: '192.0.2.7',
        error: new Error('the database is gone'),
      },
    ]);
    audit.fails = () => false;
    await audit.refusals.stop();
    expect(audit.entries).toMatchObject([{ reason: 'ERR_SSL_X' }]);
  });
});
