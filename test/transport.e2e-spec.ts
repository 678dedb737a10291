import { connect, type ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { makeProblem } from './support/bodies.js';
import { Client, type ClientCertificate, type RawRequest } from './support/client.js';
import { type CertificateProfile, issueByStranger, KeyUsageFlags } from './support/pki.js';
import { toSpiffeId, TestService } from './support/service.js';

const UNIDENTIFIED = makeProblem(401, 'caller-unidentified');
const HOUR_MS = 3_600_000;
const ID = toSpiffeId('auth-service');

let service: TestService;
let revoked: ClientCertificate;
beforeAll(async () => {
  service = await TestService.start({
    prepare: async (pki) => {
      revoked = await pki.issue();
      await pki.revoke(revoked);
    },
  });
});
afterAll(() => service.stop());

/** A TLS connection that writes one request: in TLS 1.3 a client learns that its certificate is refused only then. */
function attempt(options: ConnectionOptions, host = 'Host: localhost\r\n'): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(service.running.httpsUrl);
    const socket = connect({ host: hostname, port: Number(port), ca: service.pki.ca, ...options }, () => {
      socket.write(`GET /v1/credentials HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    });
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      resolve(`refused: ${error.code ?? error.message}`);
    });
    socket.on('close', () => {
      resolve(received === '' ? 'refused: closed' : (received.split('\r\n', 1)[0] ?? ''));
    });
  });
}

async function callWith(certificate: ClientCertificate, headers = {}) {
  const client = new Client(service.running.httpsUrl, service.pki.ca, () => certificate);
  try {
    return await client.call('odd', 'GET', '/v1/credentials', undefined, headers);
  } finally {
    client.close();
  }
}

const denied = () => new AuditLog(service.client).events({ type: 'access.denied' });

describe('the handshake', () => {
  it('accepts a caller that the authority has certified, over TLS 1.3', async () => {
    const good = service.pki.certificateOf('auth-service');
    expect(await attempt({ ...good, minVersion: 'TLSv1.3' })).toBe('HTTP/1.1 200 OK');
  });

  it.each<[string, () => Promise<ConnectionOptions> | ConnectionOptions]>([
    ['no client certificate', () => ({})],
    ['a certificate of another authority', () => issueByStranger()],
    ['a certificate that has expired', () => service.pki.issue({ notAfter: new Date(Date.now() - HOUR_MS) })],
    ['a certificate that is not valid yet', () => service.pki.issue({ notBefore: new Date(Date.now() + HOUR_MS) })],
    ['a certificate that was revoked', () => revoked],
    ['TLS 1.2', () => ({ ...service.pki.certificateOf('auth-service'), maxVersion: 'TLSv1.2' })],
    ['TLS 1.1', () => ({ ...service.pki.certificateOf('auth-service'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })],
    ['the server certificate as a client', () => service.pki.certificateOf('server')],
  ])('refuses %s', async (_, options) => {
    expect(await attempt(await options())).toMatch(/^refused: /);
  });

  it('records the caller that it refused', async () => {
    await attempt(await issueByStranger());
    const [entry] = await new AuditLog(service.client).events({ type: 'handshake.refused' });
    expect(entry).toMatchObject({
      status_id: 2,
      class_uid: 6003,
      src_endpoint: { ip: expect.stringContaining('127.0.0.1') },
    });
  });

  it('never resumes a session from a ticket', async () => {
    const { hostname, port } = new URL(service.running.httpsUrl);
    const converse = (session?: Buffer): Promise<{ sessions: Buffer[]; resumed: boolean }> =>
      new Promise((resolve, reject) => {
        const sessions: Buffer[] = [];
        let resumed = false;
        const credentials = { ca: service.pki.ca, ...service.pki.certificateOf('auth-service') };
        const socket = connect(
          { host: hostname, port: Number(port), ...credentials, ...(session ? { session } : {}) },
          () => {
            resumed = socket.isSessionReused();
            socket.write('GET /v1/credentials HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
          },
        );
        socket.on('session', (ticket: Buffer) => sessions.push(ticket));
        socket.on('data', () => undefined);
        socket.on('error', reject);
        socket.on('close', () => {
          resolve({ sessions, resumed });
        });
      });
    for (const session of (await converse()).sessions) {
      expect(await converse(session)).toMatchObject({ resumed: false });
    }
  });

  it('does not speak plain HTTP', async () => {
    const { host } = new URL(service.running.httpsUrl);
    await expect(fetch(`http://${host}/v1/credentials`)).rejects.toThrow();
  });
});

describe('a certificate that the handshake accepts but that is not an X.509-SVID', () => {
  it.each<[string, Partial<CertificateProfile>]>([
    ['without a URI name', { uris: [] }],
    ['with two URI names', { uris: [ID, toSpiffeId('operator')] }],
    ['of another trust domain', { uris: ['spiffe://evil.example/auth-service'] }],
    ['of another scheme', { uris: ['https://passkey-manager.local/auth-service'] }],
    ['of a trust domain without a path', { uris: ['spiffe://passkey-manager.local'] }],
    ['of a trust domain and a slash', { uris: ['spiffe://passkey-manager.local/'] }],
    ['with an empty segment', { uris: ['spiffe://passkey-manager.local//auth-service'] }],
    ['with a trailing slash', { uris: [`${ID}/`] }],
    ['with a relative segment', { uris: ['spiffe://passkey-manager.local/x/../auth-service'] }],
    ['with percent-encoding', { uris: ['spiffe://passkey-manager.local/auth%2Dservice'] }],
    ['with a query', { uris: [`${ID}?admin`] }],
    ['with a fragment', { uris: [`${ID}#admin`] }],
    ['with a port', { uris: ['spiffe://passkey-manager.local:8443/auth-service'] }],
    ['with userinfo', { uris: ['spiffe://ada@passkey-manager.local/auth-service'] }],
    ['longer than 2,048 bytes', { uris: [`${ID}/${'a'.repeat(2_048)}`] }],
    ['of a CA', { ca: true }],
    ['that may sign certificates', { keyUsage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign }],
    ['that may sign revocation lists', { keyUsage: KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign }],
    ['without a key usage', { keyUsage: null }],
    ['without an extended key usage', { extendedKeyUsage: null }],
  ])('%s identifies no caller', async (_, profile) => {
    const outcome = await callWith(await service.pki.issue(profile)).catch((error: unknown) => String(error));
    if (typeof outcome === 'string') expect(outcome).toMatch(/alert|ECONNRESET|hang up/);
    else expect(outcome).toMatchObject(UNIDENTIFIED);
  });

  it('with two URI names is answered, so that its owner learns why', async () => {
    const certificate = await service.pki.issue({ uris: [ID, toSpiffeId('operator')] });
    expect(await callWith(certificate)).toMatchObject(UNIDENTIFIED);
    const [entry] = await denied();
    expect(entry).toMatchObject({ status_id: 2, status_code: 'caller-unidentified' });
  });

  it.each<[string, string, string, RawRequest]>([
    ['asks for an unknown path', 'GET', '/v1/nothing-here?secret=1', {}],
    ['asks for a malformed path', 'GET', '/v1/%zz', {}],
    [
      'sends a body that is not JSON',
      'POST',
      '/v1/credentials',
      { headers: { 'content-type': 'application/json' }, body: '{' },
    ],
    ['sends a body that is too long', 'POST', '/v1/credentials', { body: 'x'.repeat(100_000) }],
  ])('is refused on every route when it %s', async (_, method, path, raw) => {
    const certificate = await service.pki.issue({ uris: [ID, toSpiffeId('operator')] });
    const client = new Client(service.running.httpsUrl, service.pki.ca, () => certificate);
    const [before] = await denied();
    expect(await client.send('odd', method, path, raw)).toMatchObject({
      ...UNIDENTIFIED,
      headers: { connection: 'close' },
    });
    client.close();
    const [entry] = await denied();
    expect(entry).not.toEqual(before);
    expect(JSON.stringify(entry)).not.toContain('secret');
  });

  it('is accepted when nothing about it is odd', async () => {
    expect(await callWith(await service.pki.issue())).toMatchObject({ status: 200 });
  });
});

describe('on every request', () => {
  it('the host must be named exactly once', async () => {
    const good = service.pki.certificateOf('auth-service');
    expect(await attempt(good, '')).toBe('HTTP/1.1 400 Bad Request');
    expect(await attempt(good, 'Host: localhost\r\nHost: localhost\r\n')).toBe('HTTP/1.1 400 Bad Request');
  });

  it('the certificate must be valid now, also on a live connection', async () => {
    const certificate = await service.pki.issue({ notAfter: new Date(Date.now() + HOUR_MS) });
    const client = new Client(service.running.httpsUrl, service.pki.ca, () => certificate);
    expect(await client.call('short-lived', 'GET', '/v1/credentials')).toMatchObject({ status: 200 });
    service.clock.advance(3_601);
    expect(await client.call('short-lived', 'GET', '/v1/credentials')).toMatchObject(UNIDENTIFIED);
    service.clock.reset();
    client.close();
  });

  it.each(['x-forwarded-client-cert', 'X-Forwarded-Client-Cert', 'client-cert', 'client-cert-chain'])(
    'no identity is taken from the header %s',
    async (header) => {
      const stranger = service.pki.certificateOf('stranger');
      const forged = `By=${toSpiffeId('gateway')};URI=${ID}`;
      const answer = await callWith(stranger, { [header]: forged });
      expect([400, 401, 403]).toContain(answer.status);
      const own = await callWith(service.pki.certificateOf('auth-service'), { [header]: forged });
      expect([400, 401, 403]).toContain(own.status);
    },
  );
});
