import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SECRET_KEYS, type SecretKeys } from '../src/config/secret-keys.js';
import { AuthorizationSeal } from '../src/signals/authorization-seal.js';
import { StreamUpkeep } from '../src/signals/stream-upkeep.js';
import { AuditLog } from './support/audit-log.js';
import { sealForStreamAlone } from './support/old-authorization-seal.js';
import { Pushing, STREAM } from './support/pushing.js';
import { until } from './support/until.js';

const HEADER = 'Bearer a-secret-of-the-receiver';
const ALTERED = 'its Authorization header was sealed for another stream or endpoint_url';

let pushing: Pushing;
beforeAll(async () => {
  pushing = await Pushing.start();
});
afterAll(() => pushing.stop());
beforeEach(() => pushing.open());
afterEach(() => pushing.close());

const open = async (header: (url: string) => Buffer): Promise<void> => {
  await pushing.openStream();
  const [row] = await pushing.service.sql<{ url: string }>('SELECT endpoint_url AS url FROM signal_stream');
  await pushing.service.sql('UPDATE signal_stream SET push_authorization = $1', [header(row!.url)]);
};
const seal = (endpointUrl: string, id = STREAM): Buffer =>
  pushing.service.running.app.get(AuthorizationSeal).seal({ id, endpointUrl }, HEADER);
const sealOld = (): Buffer => {
  const { signalSecrets } = pushing.service.running.app.get<SecretKeys>(SECRET_KEYS, { strict: false });
  return sealForStreamAlone(signalSecrets[0], STREAM, HEADER);
};
const move = (): Promise<unknown> =>
  pushing.service.sql(`UPDATE signal_stream SET endpoint_url = endpoint_url || '-of-somebody-else'`);
const untilPaused = (): Promise<string | null> =>
  until(async () => {
    const { status, status_reason: reason } = await pushing.readStream();
    return status === 'paused' && reason;
  });

describe('the authorization header of a stream', () => {
  it('is sent to its endpoint, and the database does not show it', async () => {
    await open((url) => seal(url));
    await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.received[0]!.headers.authorization).toBe(HEADER);
    const [row] = await pushing.service.sql<{ text: string }>('SELECT signal_stream::text AS text FROM signal_stream');
    expect(row!.text).not.toContain(Buffer.from(HEADER).toString('hex'));
  });

  it('goes to no URL that SQL puts into the row: the stream is paused at once, holds its signals, and says why', async () => {
    await open((url) => seal(url));
    await move();
    const ids = await pushing.signal('ada');
    expect(await untilPaused()).toBe(`push failed: ${ALTERED}`);
    expect(pushing.receiver.received).toEqual([]);
    const [held] = await pushing.service.sql<{ id: string }>('SELECT id FROM signal ORDER BY seq');
    expect(held).toEqual({ id: ids[0] });
    const audit = new AuditLog(pushing.service.client);
    const event = await until(async () => (await audit.events({ type: 'signal-stream.update' }))[0]);
    expect(event).toMatchObject({
      status_code: 'push-failed',
      status_detail: `paused: ${ALTERED}`,
      unmapped: { stream_id: STREAM, status: 'paused' },
    });
  });

  it('goes on to the URL of the owner when it is back, and its receiver enables the stream', async () => {
    await open((url) => seal(url));
    await move();
    const [id] = await pushing.signal('ada');
    await untilPaused();
    await pushing.service.sql(
      `UPDATE signal_stream SET endpoint_url = replace(endpoint_url, '-of-somebody-else', ''), status = 'enabled'`,
    );
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toContain(id);
    expect(pushing.receiver.received[0]!.headers.authorization).toBe(HEADER);
  });

  it('goes to no other stream', async () => {
    await open((url) => seal(url, crypto.randomUUID()));
    await pushing.signal('ada');
    expect(await untilPaused()).toBe(`push failed: ${ALTERED}`);
    expect(pushing.receiver.received).toEqual([]);
  });

  it('waits for a key that is gone: the stream is tried again', async () => {
    await open((url) => Buffer.concat([Buffer.alloc(4), seal(url).subarray(4)]));
    await pushing.signal('ada');
    expect(await pushing.untilFailing()).toBe('the key that sealed its Authorization header is gone');
    expect(await pushing.readStream()).toMatchObject({ status: 'enabled' });
    expect(pushing.receiver.received).toEqual([]);
  });
});

describe('a header that the version before sealed for its stream alone', () => {
  it('is sent, and bound to its URL by that', async () => {
    await open(sealOld);
    await pushing.signal('ada');
    await pushing.untilDelivered();
    expect(pushing.receiver.received[0]!.headers.authorization).toBe(HEADER);
    await move();
    await pushing.signal('ada');
    expect(await untilPaused()).toBe(`push failed: ${ALTERED}`);
    expect(pushing.receiver.received).toHaveLength(1);
  });

  it('is bound to its URL also while nothing is pushed', async () => {
    await open(sealOld);
    await pushing.service.running.app.get(StreamUpkeep, { strict: false }).run();
    await move();
    await pushing.signal('ada');
    expect(await untilPaused()).toBe(`push failed: ${ALTERED}`);
    expect(pushing.receiver.received).toEqual([]);
  });
});
