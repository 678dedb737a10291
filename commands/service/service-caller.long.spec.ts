import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceCaller } from './service-caller.js';

let directory: string;
let pki: Pki;
let server: Server | undefined;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-caller-'));
  await prepareDevelopment(directory);
  pki = new Pki(join(directory, 'pki'));
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Starts a service that asks for a client certificate, and a caller of it. */
async function serve(listener: RequestListener): Promise<ServiceCaller> {
  const own = pki.certificateOf('server');
  server = createServer({ ...own, ca: pki.ca, requestCert: true, rejectUnauthorized: true }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { cert, key } = pki.certificateOf('operator');
  const url = new URL(`https://localhost:${String((server.address() as AddressInfo).port)}`);
  return new ServiceCaller(url, { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(pki.ca) });
}

describe('a call of the service', () => {
  it('sends JSON with the certificate of the caller, and returns status and JSON', async () => {
    const seen: unknown[] = [];
    const caller = await serve((incoming, answer) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        seen.push([incoming.method, incoming.url, incoming.headers['content-type'], Buffer.concat(chunks).toString()]);
        answer.writeHead(409, { 'content-type': 'application/problem+json; charset=utf-8' }).end('{"detail":"é"}');
      });
    });
    expect(await caller.call('POST', '/v1/credentials/1/revoke', { reason: 'é' })).toEqual({
      status: 409,
      body: { detail: 'é' },
    });
    expect(seen).toEqual([['POST', '/v1/credentials/1/revoke', 'application/json', '{"reason":"é"}']]);
    caller.close();
  });

  it.each([429, 503])('is repeated when it is answered %d, after the time that the answer names', async (status) => {
    let calls = 0;
    const caller = await serve((_, answer) => {
      calls += 1;
      if (calls < 3) answer.writeHead(status, { 'retry-after': '0' }).end();
      else answer.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"active"}');
    });
    expect(await caller.call('GET', '/')).toEqual({ status: 200, body: { status: 'active' } });
    expect(calls).toBe(3);
    caller.close();
  });

  it('is answered with the last answer when the service never takes it', async () => {
    let calls = 0;
    const caller = await serve((_, answer) => {
      calls += 1;
      answer.writeHead(503, { 'retry-after': '0' }).end('busy');
    });
    expect(await caller.call('GET', '/')).toEqual({ status: 503, body: {} });
    expect(calls).toBe(5);
    caller.close();
  });

  it('is repeated when the connection breaks', async () => {
    let calls = 0;
    const caller = await serve((incoming, answer) => {
      calls += 1;
      if (calls === 1) incoming.socket.destroy();
      else answer.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    expect(await caller.call('GET', '/')).toEqual({ status: 200, body: {} });
    expect(calls).toBe(2);
    caller.close();
  });

  it('does not trust a server of another authority', async () => {
    await serve((_, answer) => answer.end());
    const { cert, key } = pki.certificateOf('operator');
    const url = new URL(`https://localhost:${String((server!.address() as AddressInfo).port)}`);
    const files = { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(cert) };
    const stranger = new ServiceCaller(url, files);
    await expect(stranger.call('GET', '/')).rejects.toThrow(
      /self-signed certificate|unable to verify|issuer certificate/,
    );
    stranger.close();
  });
});
