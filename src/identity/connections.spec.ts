import 'reflect-metadata';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect as connectPlainly, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { issue, type Issued } from '../../test/support/authenticator/certificate-chain.js';
import { makeTwin } from '../../test/support/certificate-twin.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import { FakeListenerTrust } from '../../test/support/fake-listener-trust.js';
import { issueAuthority, issueCaller, exportKey, SPIFFE_ID, TrustFiles } from '../../test/support/trust-files.js';
import { Connections } from './connections.js';
import type { Caller } from '../http/request-context.js';
import { SvidError } from '../x509/svid.js';
import { createTlsOptions } from './tls-options.js';
import { readTrustMaterial } from './trust-material.js';

const MINUTE_MS = 60_000;
const LIMIT = 1_000;
const STRANGERS = 100;

let files: TrustFiles;
let peer: Issued;
let clock: FakeClock;
let trust: FakeListenerTrust;
let isNamed: boolean;
let connections: Connections;
beforeEach(async () => {
  files = await TrustFiles.create();
  peer = await issueCaller(files.root);
  clock = new FakeClock();
  clock.freeze();
  trust = new FakeListenerTrust(7);
  isNamed = true;
  connections = new Connections('bank.example', clock, trust.service, () => isNamed);
});
afterEach(() => {
  files.remove();
});

/** A socket as node:tls gives it, without a network. */
function createSocket(raw = peer.certificate.raw, issuer = files.root.certificate.raw): TLSSocket & EventEmitter {
  const getPeerCertificate = () => ({ raw, issuerCertificate: { raw: issuer } });
  return Object.assign(new EventEmitter(), { getPeerCertificate }) as unknown as TLSSocket & EventEmitter;
}

/** A socket without a certificate. Tests open many of them, and there is nothing to parse. */
const createAnonymousSocket = (): TLSSocket & EventEmitter =>
  Object.assign(createSocket(), { getPeerCertificate: () => ({}) }) as TLSSocket & EventEmitter;

describe('a connection', () => {
  it('has the caller of its certificate, which is parsed once', () => {
    const socket = createSocket();
    const connection = connections.getOrCreate(socket);
    expect(connection).toMatchObject({ caller: { spiffeId: SPIFFE_ID }, excess: false, draining: false });
    expect(connection.chain.map(({ subject }) => subject)).toEqual(['CN=auth-service', 'CN=Root']);
    expect(connections.getOrCreate(socket)).toBe(connection);
    expect(connections.getOrCreate(createSocket())).not.toBe(connection);
  });

  it('has no caller when the certificate is not an X.509-SVID of the trust domain, is broken, or is missing', async () => {
    const { certificate } = await issue({}, files.root);
    expect(connections.getOrCreate(createSocket(certificate.raw)).caller).toEqual(
      new SvidError('extended key usage is absent, so it lacks clientAuth: SPIFFE allows that, this service does not'),
    );
    expect(connections.getOrCreate(createAnonymousSocket())).toMatchObject({
      caller: new SvidError('there is no certificate'),
      chain: [],
    });
    expect(connections.getOrCreate(createSocket(Buffer.from('no certificate')))).toMatchObject({
      caller: new SvidError('the certificate cannot be parsed'),
      chain: [],
    });
  });

  it('has the fingerprint of its certificate’s twin', () => {
    const twin = makeTwin(peer.certificate, files.root.certificate);
    const issued = connections.getOrCreate(createSocket()).caller as Caller;
    const turned = connections.getOrCreate(createSocket(twin.raw)).caller as Caller;
    expect([turned.fingerprint, turned.twinFingerprint]).toEqual([issued.twinFingerprint, issued.fingerprint]);
  });

  it('has no caller when its chain does not contain the certificate’s issuer', async () => {
    const namesake = await issueAuthority({ key: { name: 'ECDSA', namedCurve: 'P-384' } });
    const { caller } = connections.getOrCreate(createSocket(peer.certificate.raw, namesake.certificate.raw));
    expect(caller).toEqual(new SvidError('the certificate’s issuer is not known'));
  });

  it('ends at an age of 12 to 15 minutes, not at the same time as all others', () => {
    const began = clock.now().getTime();
    const live = Array.from({ length: 200 }, () => connections.getOrCreate(createSocket()));
    const ages = live.map(({ endsAt }) => (endsAt - began) / MINUTE_MS);
    expect(live.every(({ beganAt }) => beganAt === began)).toBe(true);
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(12);
    expect(Math.max(...ages)).toBeLessThanOrEqual(15);
    expect(Math.min(...ages)).toBeLessThan(12.6);
    expect(Math.max(...ages)).toBeGreaterThan(14.4);
  });

  it('has no epoch when its beginning was not seen, so that it is verified', () => {
    expect(connections.getOrCreate(createSocket())).toMatchObject({ epoch: 0, trustedUntil: 0 });
  });
});

describe('the connections of one identity', () => {
  it('are a thousand at most, by any of its certificates, and one more is in excess', async () => {
    const live = Array.from({ length: LIMIT + 1 }, () => connections.getOrCreate(createSocket()));
    expect(live.map(({ excess }) => excess)).toEqual([...Array<boolean>(LIMIT).fill(false), true]);
    const { certificate } = await issueCaller(files.root, { subject: 'CN=second' });
    expect(connections.getOrCreate(createSocket(certificate.raw)).excess).toBe(true);
  });

  it('make room for another one, once for each that closed', () => {
    const sockets = Array.from({ length: STRANGERS }, createAnonymousSocket);
    for (const socket of sockets) connections.getOrCreate(socket);
    for (const event of ['close', 'close']) sockets[0]!.emit(event);
    expect(connections.getOrCreate(createAnonymousSocket()).excess).toBe(false);
    expect(connections.getOrCreate(createAnonymousSocket()).excess).toBe(true);
  });

  it('are forgotten when they have closed, those in excess too', () => {
    for (let round = 0; round < 2; round += 1) {
      const sockets = Array.from({ length: STRANGERS + 5 }, createAnonymousSocket);
      expect(sockets.filter((socket) => connections.getOrCreate(socket).excess)).toHaveLength(5);
      for (const socket of sockets) socket.emit('close');
    }
  });

  it('do not count for another identity, and connections without an identity count together', async () => {
    const { certificate } = await issue({}, files.root);
    for (let open = 0; open < STRANGERS; open += 1) connections.getOrCreate(createAnonymousSocket());
    expect(connections.getOrCreate(createSocket()).excess).toBe(false);
    expect(connections.getOrCreate(createSocket(certificate.raw)).excess).toBe(true);
  });

  it('that the policy does not name are a hundred at most, together with those of no identity', () => {
    for (let open = 1; open < STRANGERS; open += 1) connections.getOrCreate(createAnonymousSocket());
    isNamed = false;
    expect(connections.getOrCreate(createSocket()).excess).toBe(false);
    expect(connections.getOrCreate(createSocket()).excess).toBe(true);
    isNamed = true;
    expect(connections.getOrCreate(createSocket()).excess).toBe(false);
  });
});

describe('a server', () => {
  let server: Server;
  let clients: Socket[];
  beforeEach(async () => {
    clients = [];
    const { context } = await readTrustMaterial(files.files, new Date());
    server = createServer(createTlsOptions(context), (request, response) => {
      const { epoch, excess } = connections.getOrCreate(request.socket as TLSSocket);
      response.end(JSON.stringify({ epoch, excess }));
    });
    connections.attachTo(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const port = (): number => (server.address() as AddressInfo).port;
  const credentials = (): ConnectionOptions => ({
    host: '127.0.0.1',
    port: port(),
    servername: 'localhost',
    ca: files.root.pem,
    cert: peer.pem,
    key: exportKey(peer),
  });

  function kept<Client extends Socket>(client: Client): Client {
    clients.push(client.on('error', () => undefined));
    return client;
  }

  async function ask(client: TLSSocket): Promise<unknown> {
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [answer] = (await once(client, 'data')) as [Buffer];
    return JSON.parse(answer.toString().split('\r\n\r\n')[1]!);
  }

  it('has a bounded number of connections', () => {
    expect(server).toMatchObject({ maxRequestsPerSocket: 100_000, maxHeadersCount: 64 });
  });

  it('remembers the epoch under which the handshake of a connection began', async () => {
    const raw = kept(connectPlainly(port(), '127.0.0.1'));
    await once(server, 'connection');
    trust.epoch = 8;
    const { host: _host, port: _port, ...options } = credentials();
    const late = kept(connect({ ...options, socket: raw }));
    expect(await ask(late)).toEqual({ epoch: 7, excess: false });
    expect(await ask(kept(connect(credentials())))).toEqual({ epoch: 8, excess: false });
  });

  it('does not count connections whose handshake failed or that are closed', async () => {
    const counts = (connections as unknown as { open: Map<string, number> }).open;
    for (const [count, options] of [
      [1, {}],
      [1, { cert: undefined, key: undefined }],
      [2, {}],
    ] as const) {
      const client = kept(connect({ ...credentials(), ...options }));
      await ask(client).catch(() => undefined);
      expect(counts.get(SPIFFE_ID)).toBe(count);
    }
    for (const client of clients) client.destroy();
    while (counts.size > 0) await sleep(5);
  });

  it('gives a connection in excess a second to send a request and to be refused', async () => {
    const others = Array.from({ length: LIMIT }, () => createSocket());
    for (const socket of others) connections.getOrCreate(socket);
    const asking = kept(connect(credentials()));
    expect(await ask(asking)).toMatchObject({ excess: true });
    const idle = kept(connect(credentials()));
    await once(idle.resume(), 'close');
    others[0]!.emit('close');
    expect(await ask(kept(connect(credentials())))).toMatchObject({ excess: false });
  });
});
