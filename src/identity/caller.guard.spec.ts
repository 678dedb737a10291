import 'reflect-metadata';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { AUTH_SERVICE } from '../../test/support/callers.js';
import { issueAuthority, issueCaller } from '../../test/support/trust-files.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { CallerGuard } from './caller.guard.js';
import type { Connection, Connections } from './connections.js';
import type { ContinuousVerification, Standing } from './continuous-verification.js';
import { getContext } from '../http/request-context.js';

let audit: FakeAudit;
let standing: Standing;
let connection: Pick<Connection, 'epoch' | 'excess'> & { chain: Connection['chain'] };
let answered: Record<string, string>;
let request: { id: string; method: string; url: string; routeOptions: { url?: string }; headers: object; raw: object };
beforeEach(() => {
  audit = new FakeAudit();
  standing = { caller: AUTH_SERVICE, last: false };
  connection = { epoch: 4, excess: false, chain: [] };
  answered = {};
  const raw = { socket: { remoteAddress: '192.0.2.7', remotePort: 50_000 } };
  request = { id: 'id-1', method: 'GET', url: '/v1/x?y', routeOptions: { url: '/v1/:x' }, headers: {}, raw };
});

/** Knows the one connection of the request. */
class FakeConnections implements Pick<Connections, 'getOrCreate'> {
  get service(): Connections {
    return this as Pick<Connections, 'getOrCreate'> as Connections;
  }

  getOrCreate(socket: unknown): Connection {
    return (socket === (request.raw as { socket: object }).socket ? connection : undefined) as Connection;
  }
}

/** Finds for that connection what the test decides. */
class FakeVerification implements Pick<ContinuousVerification, 'verify'> {
  get service(): ContinuousVerification {
    return this as Pick<ContinuousVerification, 'verify'> as ContinuousVerification;
  }

  verify(it: unknown): Promise<Standing> {
    return Promise.resolve((it === connection ? standing : undefined) as Standing);
  }
}

function guard(): CallerGuard {
  return new CallerGuard(new FakeConnections().service, new FakeVerification().service, audit.refusals);
}

const reply = { header: (name: string, value: string) => void (answered[name] = value) };

function enter(): Promise<true> {
  return guard().canActivate(new ExecutionContextHost([request, reply]));
}

const context = () => getContext(request as never);
const unidentified = (detail: string) => ({ slug: 'caller-unidentified', members: { detail } });
const record = (reason: string, detail: string) => [
  { type: 'access.denied', outcome: 'failure', reason, detail, rpId: undefined },
];

describe('a caller', () => {
  it('is identified, with the epoch of the trust store that identified it', async () => {
    await expect(enter()).resolves.toBe(true);
    expect(context()).toEqual({
      requestId: 'id-1',
      operation: 'GET /v1/:x',
      source: { ip: '192.0.2.7', port: 50_000 },
      stillTrusted: expect.any(Function),
      caller: AUTH_SERVICE,
      epoch: 4,
    });
    expect([answered, audit.entries]).toEqual([{}, []]);
  });

  it('gets an answer that says when it is the connection’s last', async () => {
    standing = { caller: AUTH_SERVICE, last: true };
    await expect(enter()).resolves.toBe(true);
    expect(answered).toEqual({ connection: 'close' });
  });

  it('without an identity is refused on the record, and the connection ends', async () => {
    standing = { refusal: 'there is no certificate' };
    await expect(enter()).rejects.toMatchObject(unidentified('there is no certificate'));
    expect([context().caller, answered]).toEqual([undefined, { connection: 'close' }]);
    expect(audit.entries).toEqual(record('caller-unidentified', 'there is no certificate'));
    expect(audit.contexts).toEqual([context()]);
  });

  it('is named on the record when its identity is known and no longer good', async () => {
    standing = { caller: AUTH_SERVICE, refusal: 'the certificate was revoked' };
    await expect(enter()).rejects.toMatchObject(unidentified('the certificate was revoked'));
    expect([context().caller, context().epoch]).toEqual([AUTH_SERVICE, 4]);
    expect(answered).toEqual({ connection: 'close' });
  });

  it('is verified again while its answer takes long', async () => {
    await enter();
    expect(await context().stillTrusted?.()).toBe(true);
    standing = { caller: AUTH_SERVICE, refusal: 'the certificate was revoked' };
    expect(await context().stillTrusted?.()).toBe(false);
  });

  it('is found by the certificate that its refusal names', async () => {
    const root = await issueAuthority();
    const { certificate } = await issueCaller(root, { subject: `CN=auth-service, O=${'Bank'.repeat(16)}` });
    connection.chain = [certificate, root.certificate];
    standing = { refusal: 'key usage lacks digitalSignature' };
    await expect(enter()).rejects.toMatchObject(unidentified('key usage lacks digitalSignature'));
    const named = {
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      serial: certificate.serialNumber.toLowerCase(),
      subject: `CN=auth-service, O=${'Bank'.repeat(16)}`,
    };
    expect(context().certificate).toEqual(named);
    expect(audit.entries).toMatchObject([{ facts: { certificate: named } }]);
  });

  it('is not answered before its refusal is recorded', async () => {
    standing = { refusal: 'there is no certificate' };
    audit.fails = () => true;
    await expect(enter()).rejects.toThrow('the database is gone');
  });

  it('with too many connections is refused, and the new connection ends', async () => {
    connection = { epoch: 4, excess: true, chain: [] };
    const members = { retryAfter: 1, detail: 'too many connections' };
    await expect(enter()).rejects.toMatchObject({ slug: 'rate-limited', members });
    expect(answered).toEqual({ connection: 'close' });
  });

  it.each(['x-forwarded-client-cert', 'client-cert', 'client-cert-chain'])(
    'gets no identity from the header %s, even from an empty one',
    async (header) => {
      request.headers = { [header]: '' };
      const detail = 'an identity is never taken from a header';
      const members = { invalid: [{ pointer: `/${header}`, detail }] };
      await expect(enter()).rejects.toMatchObject({ slug: 'request-malformed', members });
      expect(audit.entries).toEqual(record('request-malformed', detail));
      expect(answered).toEqual({});
    },
  );
});

it('a request is read only after its caller is identified', async () => {
  const hooks: Record<string, (request: unknown, reply: unknown) => Promise<unknown>> = {};
  guard().attachTo({ addHook: (name: string, hook: never) => void (hooks[name] = hook) } as never);
  standing = { refusal: 'there is no certificate' };
  await expect(hooks['onRequest']!(request, reply)).rejects.toMatchObject(unidentified('there is no certificate'));
  expect(audit.entries).toEqual(record('caller-unidentified', 'there is no certificate'));
});

describe('the context of a request', () => {
  it('is one object for the whole request', () => {
    expect(context()).toBe(context());
  });

  it('has no path when there is no route, and no address when the connection is gone', () => {
    request = { ...request, routeOptions: {}, raw: { socket: {} } };
    expect(context()).toMatchObject({ operation: 'GET (no route)', source: { ip: '', port: 0 } });
  });
});
