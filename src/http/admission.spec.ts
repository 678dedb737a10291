import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Admission, computeAdmissionBounds, type AdmissionBounds, type AdmittedRequest } from './admission.js';
import { Metrics } from '../telemetry/metrics.js';

const BOUNDS: AdmissionBounds = { running: 6, share: 2, reads: 1, open: 4, patience: 60_000 };

let metrics: Metrics;
let admission: Admission;
beforeEach(() => {
  metrics = new Metrics();
  admission = new Admission(metrics, BOUNDS);
});

const connection = (): Socket & { destroyed: boolean } => ({ destroyed: false }) as Socket & { destroyed: boolean };

interface Asked {
  admitted?: AdmittedRequest;
  refusal?: unknown;
}

/** Asks for admission, and keeps the answer when it comes. */
function ask(identity: string, { socket = connection(), isRead = false } = {}): Asked {
  const asked: Asked = {};
  admission.admit(identity, isRead, socket).then(
    (admitted) => (asked.admitted = admitted),
    (error: unknown) => (asked.refusal = error),
  );
  return asked;
}
const runs = ({ admitted }: Asked): boolean => admitted !== undefined;
const settled = (): Promise<unknown> => new Promise(setImmediate);
const metric = async (name: string): Promise<number | undefined> =>
  (await metrics.registry.getSingleMetric(name)!.get()).values[0]?.value;
const unavailable = (detail: string) => ({ slug: 'unavailable', members: { retryAfter: 1, detail } });

describe('an identity with more requests than its share', () => {
  it('waits for its own requests, and no other identity waits for it', async () => {
    const greedy = [ask('a'), ask('a'), ask('a'), ask('a')];
    const modest = ask('b');
    await settled();
    expect(greedy.map(runs)).toEqual([true, true, false, false]);
    expect(runs(modest)).toBe(true);
    expect(await metric('passkey_http_requests_in_flight')).toBe(3);
    expect(await metric('passkey_http_requests_waiting')).toBe(2);
  });

  it('has its waiting requests run in the order of arrival, each as soon as a handler has settled', async () => {
    const asked = [ask('a'), ask('a'), ask('a'), ask('a')];
    await settled();
    asked[1]!.admitted!.settle();
    await settled();
    expect(asked.map(runs)).toEqual([true, true, true, false]);
  });

  it('is refused at once when it has the maximum number open', async () => {
    for (let n = 0; n < BOUNDS.open; n += 1) ask('a');
    const [tooMany, other] = [ask('a'), ask('b')];
    await settled();
    expect(tooMany.refusal).toMatchObject(unavailable('too many requests of this caller are being answered'));
    expect(runs(other)).toBe(true);
    expect(await metric('passkey_http_requests_shed_total')).toBe(1);
  });

  it('has the answers that it does not read counted as open requests', async () => {
    for (let n = 0; n < BOUNDS.open; n += 1) {
      const asked = ask('a');
      await settled();
      asked.admitted!.settle();
    }
    expect(await metric('passkey_http_requests_in_flight')).toBe(0);
    const refused = ask('a');
    await settled();
    expect(refused.refusal).toMatchObject({ slug: 'unavailable' });
  });
});

describe('when every place is taken', () => {
  it('identities take turns', async () => {
    const first = ['a', 'a', 'b', 'b', 'c', 'c'].map((identity) => ask(identity));
    const waiting = ['d', 'd', 'e', 'd', 'e'].map((identity) => ask(identity));
    await settled();
    expect(first.every(runs)).toBe(true);
    first[0]!.admitted!.settle();
    first[2]!.admitted!.settle();
    await settled();
    expect(waiting.map(runs)).toEqual([true, false, true, false, false]);
  });

  it('a request waits no longer than the bound', async () => {
    admission = new Admission(metrics, { ...BOUNDS, patience: 10 });
    const running = [ask('a'), ask('a')];
    const late = ask('a');
    while (late.refusal === undefined) await sleep(5);
    expect(late.refusal).toMatchObject(unavailable('too many requests are being answered'));
    expect(await metric('passkey_http_requests_waiting')).toBe(0);
    running[0]!.admitted!.settle();
    const next = ask('a');
    await settled();
    expect(runs(next)).toBe(true);
  });
});

describe('a connection that closes', () => {
  it('drops its waiting requests, whose work never begins', async () => {
    const running = [ask('a'), ask('a')];
    const [gone, there] = [connection(), connection()];
    const [dropped, next] = [ask('a', { socket: gone }), ask('a', { socket: there })];
    await settled();
    gone.destroyed = true;
    running[0]!.admitted!.settle();
    await settled();
    expect([runs(dropped), runs(next)]).toEqual([false, true]);
    expect(dropped.refusal).toMatchObject({ slug: 'unavailable' });
  });

  it('before its request is admitted never has that request run', async () => {
    const asked = ask('a', { socket: Object.assign(connection(), { destroyed: true }) });
    await settled();
    expect(asked.refusal).toMatchObject({ slug: 'unavailable' });
    expect(await metric('passkey_http_requests_in_flight')).toBe(0);
  });
});

describe('reads', () => {
  it('share one limit among all callers, and do not hold up writes', async () => {
    const reads = [ask('a', { isRead: true }), ask('b', { isRead: true })];
    const write = ask('b');
    await settled();
    expect(reads.map(runs)).toEqual([true, false]);
    expect(runs(write)).toBe(true);
    reads[0]!.admitted!.settle();
    await settled();
    expect(runs(reads[1]!)).toBe(true);
  });

  it('that wait begin one by one, each in its own turn of the event loop, and leave the rest of the turn to others', async () => {
    admission = new Admission(metrics, { ...BOUNDS, share: 4, reads: 4, open: 8 });
    const running = Array.from({ length: 4 }, () => ask('a', { isRead: true }));
    const waiting = Array.from({ length: 4 }, () => ask('a', { isRead: true }));
    await settled();
    for (const { admitted } of running) admitted!.settle();
    const begun: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      await settled();
      begun.push(waiting.filter(runs).length);
    }
    expect(begun).toEqual([1, 2, 3, 4]);
  });
});

it('an identity that has nothing open is forgotten', async () => {
  for (let n = 0; n < 1_000; n += 1) {
    const asked = ask(`identity-${String(n)}`);
    await settled();
    asked.admitted!.settle();
    asked.admitted!.leave();
  }
  expect((admission as unknown as { lines: Map<string, unknown> }).lines.size).toBe(0);
});

it('the share of an identity is a part of the requests that run at a time, and at least one', () => {
  expect([1, 25, 100].map((share) => computeAdmissionBounds(share, 1).share)).toEqual([2, 64, 256]);
});
