import type { ServerOptions } from 'node:https';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { issueByStranger } from './support/pki.js';
import { accept, type Behaviour } from './support/push-receiver.js';
import { Pushing } from './support/pushing.js';
import { until } from './support/until.js';

let pushing: Pushing;
beforeAll(async () => {
  pushing = await Pushing.start();
});
afterAll(() => pushing.stop());
beforeEach(() => pushing.open());
afterEach(() => pushing.close());

describe('a receiver that does not answer as it should', () => {
  it.each<[string, Behaviour, RegExp]>([
    ['hangs', () => undefined, /^there was no whole answer within 300 ms$/],
    [
      'sends its answer drop by drop',
      (response) => {
        response.writeHead(400);
        const timer = setInterval(() => response.write(' '), 50);
        response.on('close', () => {
          clearInterval(timer);
        });
      },
      /^there was no whole answer within 300 ms$/,
    ],
    ['closes the connection', (response) => response.socket!.destroy(), /^the connection failed: ECONNRESET$/],
    [
      'answers without end',
      (response) => void response.writeHead(400).end('x'.repeat(100_000)),
      /^the answer is too large$/,
    ],
    [
      'redirects',
      (response) =>
        void response.writeHead(307, { location: `https://localhost:${String(pushing.receiver.port)}/other` }).end(),
      /^the receiver answered 307$/,
    ],
  ])('and %s gets the SET again', async (_, behaviour, failure) => {
    const sender = pushing.sender();
    sender.timeoutMs = 300;
    try {
      pushing.receiver.behaviour = behaviour;
      await pushing.openStream();
      const [id] = await pushing.signal('ada');
      expect(await pushing.untilFailing()).toMatch(failure);
      expect(new Set(pushing.receiver.received.map(({ path }) => path))).toEqual(new Set(['/events']));
      pushing.receiver.behaviour = accept;
      await pushing.untilDelivered();
      expect(new Set(pushing.receiver.ids)).toEqual(new Set([id]));
    } finally {
      sender.timeoutMs = 10_000;
    }
  });
});

describe('a receiver that hangs', () => {
  it('holds up no other stream', async () => {
    const other = '0195a000-0000-7000-8000-000000000002';
    pushing.receiver.behaviour = (response, received) => {
      if (received.path !== '/events') accept(response, received);
    };
    await pushing.openStream();
    await pushing.signal('ada');
    await until(() => pushing.receiver.received.length === 1);
    const url = `https://localhost:${String(pushing.receiver.port)}/other`;
    await pushing.openStream({ id: other, endpoint_url: url });
    await pushing.service.sql(
      'INSERT INTO signal SELECT gen_random_uuid(), $1, seq + 1, kind, rp_id, user_id, facts, txn, happened_at FROM signal',
      [other],
    );
    await until(async () => (await pushing.countSignals()) === 1);
    expect(pushing.receiver.received.map(({ path }) => path)).toEqual(['/events', '/other']);
  });
});

const SERVER = { uris: [], names: ['localhost'], extendedKeyUsage: [ExtendedKeyUsage.serverAuth], keyUsage: null };
/** What a receiver needs to serve by this version or cipher of TLS. */
const speak = async (tls: ServerOptions, isRsa = false): Promise<ServerOptions> => ({
  ...(await pushing.service.pki.issue({ ...SERVER, isRsa })),
  ...{ requestCert: true, ca: pushing.service.pki.ca },
  ...tls,
});

describe('RFC 8935 §3 and §5.3 TLS: the receiver', () => {
  it.each<[string, () => Promise<ServerOptions>]>([
    ['another authority has signed its certificate', () => issueByStranger()],
    [
      'its certificate is for another name',
      () => pushing.service.pki.issue({ ...SERVER, names: ['receiver.example'] }),
    ],
    ['its certificate has no name', () => pushing.service.pki.issue({ ...SERVER, names: [] })],
    ['its certificate is that of a client', () => pushing.service.pki.issue({ names: ['localhost'] })],
    ['it speaks TLS 1.1', () => speak({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })],
    [
      'its key exchange has no forward secrecy',
      () => speak({ maxVersion: 'TLSv1.2', ciphers: 'AES256-GCM-SHA384' }, true),
    ],
    ['its cipher is of the kind CBC', () => speak({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE+SHA384:!AEAD' })],
  ])('gets nothing if %s', async (_, issue) => {
    await pushing.receiver.stop();
    await pushing.open(await issue());
    await pushing.openStream();
    await pushing.signal('ada');
    expect(await pushing.untilFailing()).toMatch(/^the connection failed: /);
    expect(pushing.receiver.received).toEqual([]);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('gets what it should by %s', async (version) => {
    await pushing.receiver.stop();
    await pushing.open(await speak({ minVersion: version, maxVersion: version }));
    await pushing.openStream();
    const ids = await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual(ids);
  });
});

describe('an address that the operator does not allow', () => {
  const endpoint = (host: string): string => `https://${host}:${String(pushing.receiver.port)}/events`;

  it.each(['localhost', '127.0.0.1', '[::1]', '[::ffff:127.0.0.1]'])(
    'gets nothing as %s, though its host is listed: it is not public',
    async (host) => {
      const name = host.replaceAll(/[[\]]/g, '').replace('::ffff:127.0.0.1', '::ffff:7f00:1');
      await pushing.allow(`{ host: '${name}', port: ${String(pushing.receiver.port)} }`);
      const url = endpoint(host);
      expect(pushing.sender().findObjection(url)).toBeUndefined();
      await pushing.openStream({ endpoint_url: url });
      await pushing.signal('ada');
      expect(await pushing.untilFailing()).toBe('the receiver has an address that the operator does not allow');
      expect(pushing.receiver.received).toEqual([]);
    },
  );

  it('gets nothing when its host is no longer listed', async () => {
    await pushing.openStream();
    await pushing.allow('{ host: other.example }');
    await pushing.signal('ada');
    expect(await pushing.untilFailing()).toBe('the operator does not allow this receiver');
    expect(pushing.receiver.received).toEqual([]);
  });

  it('is found when DNS gives another one than before, or one more, and the checked one is used', async () => {
    const sender = pushing.sender();
    const { resolve } = sender;
    const answers = [
      ['10.0.0.1'],
      ['127.0.0.1', '169.254.169.254'],
      ['::ffff:10.0.0.1'],
      ['64:ff9b::a00:1'],
      ['127.0.0.1'],
    ];
    let asked = 0;
    sender.resolve = () => {
      const addresses = answers[Math.min(asked, answers.length - 1)]!;
      asked += 1;
      return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    };
    try {
      await pushing.openStream();
      await pushing.signal('ada');
      await pushing.untilDelivered();
      expect([asked, pushing.receiver.received.length]).toEqual([5, 1]);
    } finally {
      sender.resolve = resolve;
    }
  });
});
