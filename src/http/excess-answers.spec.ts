import { beforeEach, describe, expect, it } from '@jest/globals';
import { fastify } from 'fastify';
import { getContext } from './request-context.js';
import { delayExcessAnswers, ExcessPace } from './excess-answers.js';

describe('the pace of answers that only report an excess of requests', () => {
  let pace: ExcessPace;
  beforeEach(() => {
    pace = new ExcessPace();
  });

  const delays = (count: number, now: number, caller = 'a'): number[] =>
    Array.from({ length: count }, () => pace.delay(caller, now));

  it('is one answer every 10 milliseconds, of which the first does not wait', () => {
    expect(delays(4, 5_000)).toEqual([0, 10, 20, 30]);
    expect(delays(2, 5_005)).toEqual([35, 45]);
  });

  it('saves up no answers for a caller that comes back later', () => {
    delays(3, 5_000);
    expect(delays(3, 5_030)).toEqual([0, 10, 20]);
    expect(delays(3, 60_000)).toEqual([0, 10, 20]);
  });

  it('is each caller’s own', () => {
    delays(100, 5_000);
    expect(delays(2, 5_000, 'b')).toEqual([0, 10]);
  });

  it('holds an answer for at most two seconds, however many there are', () => {
    expect(delays(202, 5_000).slice(199)).toEqual([1_990, 2_000, 2_000]);
    expect(Math.max(...delays(1_000, 5_000))).toBe(2_000);
    expect(delays(1, 6_000)).toEqual([1_010]);
  });

  describe('with a thousand callers', () => {
    const count = (): number => (pace as unknown as { next: Map<string, number> }).next.size;
    beforeEach(() => {
      for (let caller = 0; caller < 999; caller += 1) pace.delay(String(caller), 5_000);
      pace.delay('later', 5_001);
    });

    it('forgets, at one more, those whose turn has passed', () => {
      expect(delays(1, 5_010, 'one more')).toEqual([0]);
      expect(count()).toBe(2);
      expect(delays(1, 5_010, 'later')).toEqual([1]);
    });

    it('forgets nobody whose turn is to come', () => {
      expect(delays(1, 5_009, 'one more')).toEqual([0]);
      expect(count()).toBe(1_001);
      expect(delays(1, 5_009, '0')).toEqual([1]);
    });
  });
});

describe('answers that only report an excess of requests', () => {
  const [EXCESS, WELCOME] = [80, 10];

  it('are sent at a fixed pace, and other callers are answered meanwhile', async () => {
    const gate = Promise.withResolvers<number>();
    const sent: string[] = [];
    let begun = 0;
    const server = fastify();
    delayExcessAnswers(server, () => 5_000);
    server.addHook('onSend', ({ url }, _reply, payload, done) => {
      sent.push(url);
      done(null, payload);
    });
    // All requests are answered in one turn of the event loop.
    server.get('/:caller', async (request, reply) => {
      if (request.url === '/excess') getContext(request).excessOf = 'a';
      if ((begun += 1) === EXCESS + WELCOME) gate.resolve(performance.now());
      await gate.promise;
      return reply.send('done');
    });
    try {
      const url = await server.listen({ port: 0, host: '127.0.0.1' });
      const asked = [...Array<string>(EXCESS).fill('/excess'), ...Array<string>(WELCOME).fill('/welcome')];
      const answers = await Promise.all(asked.map(async (path) => (await fetch(url + path)).text()));
      // A timer may fire a millisecond early.
      expect(performance.now() - (await gate.promise)).toBeGreaterThanOrEqual((EXCESS - 1) * 10 - 1);
      expect(answers).toEqual(asked.map(() => 'done'));
      expect(sent).toEqual([...asked].reverse());
    } finally {
      await server.close();
    }
  });
});
