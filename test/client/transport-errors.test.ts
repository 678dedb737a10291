import 'reflect-metadata';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { ExtendedKeyUsage } from '@peculiar/x509';
import {
  type PasskeyManager,
  PasskeyProblem,
  PasskeyTransportError,
  type TransportFault,
} from '@passkey-manager/client';
import { DevelopmentCa } from '../../dev/development-ca.js';
import { issueByStranger } from '../support/pki.js';
import { ClientFiles, FakeService, problem } from './fake-service.ts';

const DAY_MS = 86_400_000;
const YESTERDAY = new Date(Date.now() - DAY_MS);
const TOMORROW = new Date(Date.now() + DAY_MS);
const SERVER = { extendedKeyUsage: [ExtendedKeyUsage.serverAuth] };

let files: ClientFiles;
const ends: (() => unknown)[] = [];
async function serve(options: Parameters<typeof FakeService.start>[1] = {}): Promise<FakeService> {
  const service = await FakeService.start(files, options);
  ends.push(() => service.stop());
  return service;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

function open(...parameters: Parameters<ClientFiles['client']>): PasskeyManager {
  const client = files.client(...parameters);
  ends.push(() => {
    client.close();
  });
  return client;
}

/** Writes another certificate and key, and returns the options that name them. */
async function writePair(name: string, { cert, key }: { cert: string; key: string }) {
  await writeFile(files.path(`${name}.crt`), cert);
  await writeFile(files.path(`${name}.key`), key);
  return { certFile: files.path(`${name}.crt`), keyFile: files.path(`${name}.key`) };
}

interface Expected {
  readonly code: TransportFault;
  readonly message: RegExp;
  readonly mayHaveArrived: boolean;
  readonly attempts?: number;
}

async function expectFault(
  call: Promise<unknown>,
  { code, message, mayHaveArrived, attempts }: Expected,
): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof PasskeyTransportError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(error.message.includes(error.advice));
    assert.ok(error.cause instanceof Error);
    assert.equal(error.mayHaveArrived, mayHaveArrived);
    if (attempts !== undefined) assert.equal(error.attempts, attempts);
    return true;
  });
}

await describe('a call that fails', async () => {
  before(async () => {
    files = await ClientFiles.create();
  });
  after(() => files.remove());
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  await describe('a transport error', async () => {
    await it('tells of a port that nobody listens on, after three tries, also of a ceremony', async () => {
      const service = await FakeService.start(files);
      await service.stop();
      const refused = {
        code: 'connection-refused',
        message: /ECONNREFUSED 127\.0\.0\.1:\d+/,
        mayHaveArrived: false,
      } as const;
      await expectFault(open(service.url).listCredentials(), { ...refused, attempts: 3 });
      const answer = { challengeId: 'AA', response: {} as never };
      await expectFault(open(service.url).verifyAuthentication(answer), { ...refused, attempts: 3 });
      await expectFault(open(service.url, { retries: 0 }).verifyAuthentication(answer), { ...refused, attempts: 1 });
    });

    await it('names every address of a host that has several', () => {
      // Node.js makes such an error, with an empty message, when no address of a host takes the connection.
      const errors = ['connect ECONNREFUSED ::1:8443', 'connect ECONNREFUSED 127.0.0.1:8443'].map(
        (it) => new Error(it),
      );
      const cause = Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' });
      const attempt = {
        origin: 'https://localhost:8443',
        attempts: 1,
        connected: false,
        reused: false,
        answered: false,
      };
      const known = { ...attempt, certificateInvalid: false, trouble: undefined };
      assert.match(
        new PasskeyTransportError('connection-refused', cause, known).message,
        /^https:\/\/localhost:8443: connect ECONNREFUSED ::1:8443, connect ECONNREFUSED 127\.0\.0\.1:8443\. Check/,
      );
    });

    await it('tells of a name that the DNS does not know', async () => {
      await expectFault(open('https://passkeys.invalid', { retries: 0 }).listCredentials(), {
        code: 'name-unknown',
        message: /passkeys\.invalid/,
        mayHaveArrived: false,
      });
    });

    await it('tells of a service whose certificate another authority has issued', async () => {
      const service = await serve();
      const other = await DevelopmentCa.create();
      await writeFile(files.path('other-ca.crt'), other.certificatePem);
      await expectFault(open(service.url, { caFile: files.path('other-ca.crt') }).listCredentials(), {
        code: 'server-untrusted',
        message: /caFile/,
        mayHaveArrived: false,
        attempts: 1,
      });
      assert.deepEqual(service.received, []);
    });

    await it('tells of it even if the environment turns the verification off', async () => {
      const service = await serve();
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      ends.push(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
      await expectFault(open(service.url, { caFile: files.path('other-ca.crt') }).listCredentials(), {
        code: 'server-untrusted',
        message: /caFile/,
        mayHaveArrived: false,
      });
      assert.deepEqual(service.received, []);
    });

    await it('tells of a service whose certificate is for other names', async () => {
      const service = await serve();
      await expectFault(open(service.url.replace('127.0.0.1', '127.0.0.2')).listCredentials(), {
        code: 'server-name-mismatch',
        message: /127\.0\.0\.2 is not in the cert's list/,
        mayHaveArrived: false,
        attempts: 1,
      });
    });

    await it('tells of a service whose certificate has expired', async () => {
      const expired = await files.pki.issue({ ...SERVER, notBefore: new Date(0), notAfter: YESTERDAY });
      await expectFault(open((await serve(expired)).url).listCredentials(), {
        code: 'server-certificate-expired',
        message: /clock/,
        mayHaveArrived: false,
        attempts: 1,
      });
    });

    await it('tells of a certificate that the service refuses, although the handshake looks successful', async () => {
      const service = await serve();
      const foreign = await writePair('foreign', await issueByStranger());
      await expectFault(open(service.url, foreign).listCredentials(), {
        code: 'client-certificate-refused',
        message: /trusts.*certFile.*revoked/,
        mayHaveArrived: true,
        attempts: 1,
      });
      assert.deepEqual(service.received, []);
    });

    await it('tells of a certificate of its own that has expired, or is of the future', async () => {
      const service = await serve();
      const expired = await writePair(
        'expired',
        await files.pki.issue({ notBefore: new Date(0), notAfter: YESTERDAY }),
      );
      const early = await writePair('early', await files.pki.issue({ notBefore: TOMORROW, notAfter: new Date(2e12) }));
      for (const pair of [expired, early]) {
        await expectFault(open(service.url, pair).listCredentials(), {
          code: 'client-certificate-expired',
          message: /clock/,
          mayHaveArrived: true,
          attempts: 1,
        });
      }
    });

    await it('tells of a port without TLS', async () => {
      const url = await listen(createHttpServer((_, response) => response.end('hello')));
      await expectFault(open(url).listCredentials(), {
        code: 'tls-failed',
        message: /mutual TLS/,
        mayHaveArrived: false,
      });
    });

    await it('tells of a service that speaks only TLS 1.2', async () => {
      const service = await serve({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
      await expectFault(open(service.url).listCredentials(), {
        code: 'tls-failed',
        message: /TLS/,
        mayHaveArrived: false,
      });
    });

    await it('tells of a connection that ends before the handshake, and tries again', async () => {
      let connections = 0;
      const url = await listen(
        createTcpServer((socket) => {
          connections += 1;
          socket.destroy();
        }),
      );
      await expectFault(open(url).registerCredential({ challengeId: 'AA', response: {} as never }), {
        code: 'connection-lost',
        message: /before/,
        mayHaveArrived: false,
        attempts: 3,
      });
      assert.equal(connections, 3);
    });

    await it('tells of a service that takes the connection and does not shake hands in time', async () => {
      const url = await listen(createTcpServer((socket) => ends.push(() => socket.destroy())));
      await expectFault(open(url, { timeoutMs: 200 }).listCredentials(), {
        code: 'timeout',
        message: /no connection within 200 ms/,
        mayHaveArrived: false,
        attempts: 1,
      });
    });

    await it('tells of a service that does not answer in time, with its head or its body', async () => {
      const service = await serve();
      service.answers.push(
        () => undefined,
        (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
      );
      for (let n = 0; n < 2; n += 1) {
        await expectFault(open(service.url, { timeoutMs: 500 }).listCredentials(), {
          code: 'timeout',
          message: /no answer within \d+ ms/,
          mayHaveArrived: true,
          attempts: 1,
        });
      }
    });

    await it('tells of an answer that ends in its middle', async () => {
      const service = await serve();
      service.answers.push((response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{', () => response.destroy());
      });
      await expectFault(open(service.url).suspendCredential('0195511f-03b2-7c11-8d0e-5b7a90a4c3d2', 'lost'), {
        code: 'connection-lost',
        message: /aborted/,
        mayHaveArrived: true,
        attempts: 1,
      });
    });

    await it('tells of an answer that is not JSON', async () => {
      const service = await serve();
      service.answers.push((response) => response.end('<html>'));
      await expectFault(open(service.url).listCredentials(), {
        code: 'answer-unreadable',
        message: /url/,
        mayHaveArrived: true,
        attempts: 1,
      });
    });
  });

  await describe('a problem', async () => {
    await it('names in its message the members that the service refuses', async () => {
      const service = await serve();
      const invalid = [
        { pointer: '/user/id', detail: 'must be text of 1 to 256 characters' },
        { pointer: '', detail: 'has an unknown member' },
      ];
      service.answers.push(problem(400, 'request-malformed', { title: 'The request is wrong', invalid }));
      await assert.rejects(open(service.url).listCredentials(), {
        name: 'PasskeyProblem',
        slug: 'request-malformed',
        requestId: 'r-1',
        invalid,
        message:
          '400 request-malformed: The request is wrong: /user/id: must be text of 1 to 256 characters; the request: has an unknown member',
      });
    });

    await it('is unexpected when a gateway answers, and is not sent again', async () => {
      const service = await serve();
      service.answers.push((response) =>
        response.writeHead(503, { 'retry-after': 'Mon, 02 Mar 2026 09:30:00 GMT' }).end('<html>Bad gateway</html>'),
      );
      await assert.rejects(open(service.url).listCredentials(), (error: unknown) => {
        assert.ok(error instanceof PasskeyProblem);
        assert.deepEqual([error.status, error.slug, error.retryAfterSeconds], [503, 'unexpected', undefined]);
        assert.match(error.message, /Bad gateway/);
        return true;
      });
      assert.equal(service.received.length, 1);
    });

    await it('is a redirect, too, because the client follows none', async () => {
      const service = await serve();
      service.answers.push((response) => response.writeHead(307, { location: 'https://elsewhere.example' }).end());
      await assert.rejects(open(service.url).listCredentials(), { status: 307, slug: 'unexpected' });
    });
  });
});
