import 'reflect-metadata';
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rename, symlink, unlink, writeFile } from 'node:fs/promises';
import { getEventListeners } from 'node:events';
import type { ClientRequest } from 'node:http';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { type PasskeyManager, PasskeyProblem, type PasskeyTransportError } from '@passkey-manager/client';
import { ClientFiles, cut, FakeService, problem } from './fake-service.ts';

const ID = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';

await describe('the client', async () => {
  let files: ClientFiles;
  let service: FakeService;
  let client: PasskeyManager;
  before(async () => {
    files = await ClientFiles.create();
  });
  after(() => files.remove());
  beforeEach(async () => {
    service = await FakeService.start(files);
    client = files.client(service.url);
  });
  afterEach(async () => {
    client.close();
    await service.stop();
  });

  const connections = () => service.received.map(({ connection }) => connection);
  const serialNumbers = () => service.received.map(({ serialNumber }) => serialNumber);

  await describe('keeps connections', async () => {
    await it('and sends one request after the other on one', async () => {
      for (let n = 0; n < 5; n += 1) await client.listCredentials();
      assert.deepEqual(connections(), [1, 1, 1, 1, 1]);
    });

    await it('and opens no more than it may, however many calls there are', async () => {
      const few = files.client(service.url, { connections: 3 });
      await Promise.all(Array.from({ length: 20 }, () => few.listCredentials()));
      few.close();
      assert.equal(Math.max(...connections()), 3);
      assert.equal(service.received.length, 20);
    });

    await it('until the service says that an answer is the last one', async () => {
      service.answers.push((response) => response.setHeader('connection', 'close').end('{}'));
      await client.listCredentials();
      await client.verifyAuthentication({ challengeId: 'AA', response: {} as never });
      assert.deepEqual(connections(), [1, 2]);
    });

    await it('until the service closes an idle one, and loses no request that may be sent only once', async () => {
      await client.listCredentials();
      const { url } = service;
      await service.stop();
      service = await FakeService.start(files, {}, Number(new URL(url).port));
      await client.revokeCredential(ID, 'stolen');
      assert.equal(service.received.length, 1);
    });

    await it('until it is closed', async () => {
      await client.listCredentials();
      client.close();
      await client.listCredentials();
      assert.deepEqual(connections(), [1, 2]);
    });
  });

  await describe('leaves nothing of a call on its connection', async () => {
    const warnings: string[] = [];
    const note = ({ message }: Error): number => warnings.push(message);
    /** The listeners on the client's socket when an answer has come, as `secureConnect: 1`. */
    const counts: string[] = [];
    const count = (message: unknown): void => {
      const { socket } = (message as { request: ClientRequest }).request;
      const names = socket?.eventNames().map((name) => `${String(name)}: ${String(socket.listenerCount(name))}`);
      counts.push(names?.toSorted().join(', ') ?? 'no socket');
    };
    beforeEach(() => {
      counts.length = warnings.length = 0;
      process.on('warning', note);
      subscribe('http.client.response.finish', count);
    });
    afterEach(() => {
      process.off('warning', note);
      unsubscribe('http.client.response.finish', count);
    });
    const assertNothingIsLeft = async (signal: AbortSignal): Promise<void> => {
      await new Promise(setImmediate);
      assert.deepEqual(new Set(connections()), new Set([1]));
      assert.deepEqual(warnings, []);
      assert.deepEqual(getEventListeners(signal, 'abort'), []);
      assert.match(counts[0]!, /close: \d/);
      assert.equal(counts.at(-1), counts[1]);
    };

    await it('after hundreds that follow each other', async () => {
      const { signal } = new AbortController();
      for (let n = 0; n < 300; n += 1) await client.listCredentials({}, { signal });
      await assertNothingIsLeft(signal);
      assert.equal(service.received.length, 300);
    });

    await it('after hundreds that wait for each other', async () => {
      const { signal } = new AbortController();
      const single = files.client(service.url, { connections: 1 });
      await Promise.all(Array.from({ length: 300 }, () => single.listCredentials({}, { signal })));
      await assertNothingIsLeft(signal);
      single.close();
      assert.equal(service.received.length, 300);
    });

    await it('after exports, problems and repetitions', async () => {
      const { signal } = new AbortController();
      const busy = problem(503, 'unavailable', {}, { 'retry-after': '0' });
      for (let n = 0; n < 20; n += 1) {
        await text(await client.exportAuditLog({}, { signal }));
        service.answers.push(problem(404, 'not-found'));
        await assert.rejects(client.getCredential(ID, { signal }), PasskeyProblem);
        service.answers.push(busy);
        await client.listCredentials({}, { signal });
      }
      await client.listCredentials({}, { signal });
      await assertNothingIsLeft(signal);
      assert.equal(service.received.length, 81);
    });
  });

  await describe('reads its certificate again', async () => {
    let certFile: string;
    let keyFile: string;
    const issue = () => files.pki.issue();
    const serialOf = (pem: string): string => new X509Certificate(pem).serialNumber;
    let first: { cert: string; key: string };
    beforeEach(async () => {
      certFile = files.path('rotated.crt');
      keyFile = files.path('rotated.key');
      first = await issue();
      await writeFile(certFile, first.cert);
      await writeFile(keyFile, first.key);
      client = files.client(service.url, { certFile, keyFile });
    });

    await it('when its files have changed, for the next call', async () => {
      await client.listCredentials();
      const second = await issue();
      await writeFile(certFile, second.cert);
      await writeFile(keyFile, second.key);
      await client.listCredentials();
      assert.deepEqual(serialNumbers(), [serialOf(first.cert), serialOf(second.cert)]);
    });

    await it('when a symbolic link leads to other files, as in a volume of Kubernetes', async () => {
      const [before, next] = [first, await issue()];
      for (const [name, { cert, key }] of Object.entries({ before, next })) {
        await writeFile(files.path(`${name}.crt`), cert);
        await writeFile(files.path(`${name}.key`), key);
      }
      const point = async (name: string): Promise<void> => {
        for (const end of ['crt', 'key']) {
          await symlink(`${name}.${end}`, files.path(`link-next.${end}`));
          await rename(files.path(`link-next.${end}`), files.path(`link.${end}`));
        }
      };
      await point('before');
      const linked = files.client(service.url, { certFile: files.path('link.crt'), keyFile: files.path('link.key') });
      await linked.listCredentials();
      await point('next');
      await linked.listCredentials();
      linked.close();
      assert.deepEqual(serialNumbers(), [serialOf(before.cert), serialOf(next.cert)]);
    });

    await it('when both of its files fit: a certificate without its key changes nothing yet', async () => {
      const second = await issue();
      await writeFile(certFile, second.cert);
      await client.listCredentials();
      await unlink(keyFile);
      await client.listCredentials();
      await writeFile(keyFile, second.key.slice(0, 40));
      await client.listCredentials();
      await writeFile(keyFile, second.key);
      await client.listCredentials();
      const [former, next] = [serialOf(first.cert), serialOf(second.cert)];
      assert.deepEqual(serialNumbers(), [former, former, former, next]);
    });

    await it('and says in a transport error why it does not use files that have changed', async () => {
      await writeFile(keyFile, (await issue()).key);
      await service.stop();
      const { message } = (await client
        .listCredentials()
        .catch((error: unknown) => error as PasskeyTransportError)) as Error;
      assert.match(
        message,
        /The files have changed and cannot be used: .*rotated\.key is not the key of .*rotated\.crt/,
      );
    });

    await it('and leaves the calls that are under way on their connections', async () => {
      const second = await issue();
      const answered = new Promise<() => void>((resolve) => {
        service.answers.push((response) => {
          resolve(() => response.end('{"data":[]}'));
        });
      });
      const running = client.listCredentials();
      const answer = await answered;
      await writeFile(certFile, second.cert);
      await writeFile(keyFile, second.key);
      await client.listCredentials();
      answer();
      assert.deepEqual(await running, { data: [] });
      await client.listCredentials();
      const [former, next] = [serialOf(first.cert), serialOf(second.cert)];
      assert.deepEqual(serialNumbers(), [former, next, next]);
      assert.deepEqual(connections(), [1, 2, 2]);
    });

    await it('and sends a call again that the service refused because the former one had ended', async () => {
      const second = await issue();
      service.answers.push((response, received) => {
        void Promise.all([writeFile(certFile, second.cert), writeFile(keyFile, second.key)]).then(() => {
          problem(401, 'caller-unidentified', {}, { connection: 'close' })(response, received);
        });
      });
      await client.verifyAuthentication({ challengeId: 'AA', response: {} as never });
      assert.deepEqual(serialNumbers(), [serialOf(first.cert), serialOf(second.cert)]);
    });

    await it('but does not repeat such a call with the same certificate', async () => {
      service.answers.push(problem(401, 'caller-unidentified', {}, { connection: 'close' }));
      await assert.rejects(client.listCredentials(), { slug: 'caller-unidentified', attempts: 1 });
      assert.equal(service.received.length, 1);
    });

    await it('and does not start with files that cannot be used', async () => {
      await writeFile(keyFile, (await issue()).key);
      assert.throws(() => files.client(service.url, { certFile, keyFile }), /rotated\.key is not the key of/);
      assert.throws(() => files.client(service.url, { caFile: files.path('absent') }), /ENOENT.*absent/);
      await writeFile(certFile, 'not a certificate');
      assert.throws(() => files.client(service.url, { certFile, keyFile }), /rotated\.crt cannot be used/);
    });
  });

  await describe('sends a request again', async () => {
    await it('three times in all, and says how often', async () => {
      const busy = problem(503, 'unavailable', {}, { 'retry-after': '0' });
      service.answers.push(busy, busy, busy);
      await assert.rejects(client.listCredentials(), { slug: 'unavailable', attempts: 3 });
      assert.equal(service.received.length, 3);
    });

    await it('when the service asks it to, and not before', async () => {
      const events: string[] = [];
      service.answers.push(
        (response, received) => {
          setTimeout(() => events.push('almost a second has gone'), 950);
          problem(503, 'unavailable', {}, { 'retry-after': '1' })(response, received);
        },
        (response) => {
          events.push('the second request has come');
          response.end('{}');
        },
      );
      await client.listCredentials();
      assert.deepEqual(events, ['almost a second has gone', 'the second request has come']);
    });

    await it('only if there is time for that', async () => {
      service.answers.push(problem(503, 'unavailable', {}, { 'retry-after': '60' }));
      await assert.rejects(client.getUserSignals('u-1', 'login.example.com'), { retryAfterSeconds: 60, attempts: 1 });
    });

    await it('not for a limit of the user, which outlasts the call', async () => {
      service.answers.push(problem(429, 'rate-limited', { reason: 'too-many-refusals' }, { 'retry-after': '0' }));
      await assert.rejects(client.issueAuthenticationChallenge({ rpId: 'login.example.com', userId: 'u-1' }), {
        reason: 'too-many-refusals',
        attempts: 1,
      });
    });

    await it('not after another problem, such as a refusal or a failure', async () => {
      service.answers.push(problem(422, 'authentication-rejected'), problem(500, 'nothing-that-is-known'));
      await assert.rejects(client.listCredentials(), PasskeyProblem);
      await assert.rejects(client.listCredentials(), PasskeyProblem);
      assert.equal(service.received.length, 2);
    });

    await it('never after its only connection was cut while it sent the answer to a challenge', async () => {
      await client.listCredentials();
      service.answers.push(cut);
      await assert.rejects(client.verifyAuthentication({ challengeId: 'AA', response: {} as never }), {
        code: 'connection-lost',
        mayHaveArrived: true,
        attempts: 1,
      });
      assert.equal(service.received.length, 2);
    });

    await it('never after a connection was cut for which the answer to a challenge had waited', async () => {
      const single = files.client(service.url, { connections: 1 });
      service.answers.push((response) => response.end('{}'), cut);
      const [, verified] = await Promise.allSettled([
        single.listCredentials(),
        single.verifyAuthentication({ challengeId: 'AA', response: {} as never }),
      ]);
      single.close();
      const { code, mayHaveArrived, attempts } = (verified as PromiseRejectedResult).reason as PasskeyTransportError;
      assert.deepEqual(
        { code, mayHaveArrived, attempts },
        { code: 'connection-lost', mayHaveArrived: true, attempts: 1 },
      );
      assert.deepEqual(connections(), [1, 1]);
    });

    await it('not after the signal, even while it waits', async () => {
      const controller = new AbortController();
      service.answers.push((response, received) => {
        problem(503, 'unavailable', {}, { 'retry-after': '5' })(response, received);
        setTimeout(() => {
          controller.abort(new Error('enough'));
        }, 50);
      });
      await assert.rejects(client.listCredentials({}, controller), /enough/);
      assert.equal(service.received.length, 1);
      await assert.rejects(client.listCredentials({}, controller), /enough/);
      assert.equal(service.received.length, 1);
    });
  });

  await describe('takes a URL', async () => {
    for (const path of ['/passkeys', '/passkeys/']) {
      await it(`with the path ${path}`, async () => {
        const below = files.client(service.url + path);
        await below.getUserSignals('a/b', 'login.example.com');
        below.close();
        assert.equal(service.received[0]?.target, '/passkeys/v1/users/a%2Fb/signals?rpId=login.example.com');
      });
    }

    for (const url of [
      'http://localhost:8443',
      'https://user@localhost',
      'https://user:secret@localhost',
      'https://localhost?a=b',
      'https://localhost#a',
      'localhost:8443',
      '',
    ]) {
      await it(`but not ${url === '' ? 'an empty one' : url}`, () => {
        assert.throws(() => files.client(url), TypeError);
      });
    }
  });

  await describe('streams an export', async () => {
    const lines = '{"leafIndex":0}\n'.repeat(10_000);

    await it('as it comes', async () => {
      service.answers.push((response) => response.end(lines));
      assert.equal(await text(await client.exportAuditLog()), lines);
      await client.listCredentials();
      assert.deepEqual(connections(), [1, 1]);
    });

    await it('and fails when the stream ends early', async () => {
      service.answers.push((response) => {
        response.write(lines, () => response.destroy());
      });
      await assert.rejects(text(await client.exportAuditLog()), { code: 'ECONNRESET' });
    });

    await it('and fails when nothing more comes', async () => {
      const impatient = files.client(service.url, { timeoutMs: 300 });
      service.answers.push((response) => response.write(lines));
      await assert.rejects(text(await impatient.exportAuditLog()), { code: 'ECONNRESET' });
    });

    await it('until the signal', async () => {
      const controller = new AbortController();
      service.answers.push((response) => response.write(lines));
      const stream: Readable = await client.exportAuditLog({}, controller);
      controller.abort();
      await assert.rejects(text(stream));
    });

    await it('only if the service does', async () => {
      service.answers.push(problem(403, 'permission-denied'));
      await assert.rejects(client.exportAuditLog(), { slug: 'permission-denied' });
    });
  });
});
