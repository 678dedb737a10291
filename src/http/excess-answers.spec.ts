import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';
import { getContext } from './request-context.js';
import { delayExcessAnswers } from './excess-answers.js';

let server: FastifyInstance;
let url: string;
beforeEach(async () => {
  server = fastify();
  delayExcessAnswers(server);
  server.get('/welcome', () => 'done');
  server.get('/excess/:caller', (request, reply) => {
    getContext(request).excessOf = (request.params as { caller: string }).caller;
    return reply.status(429).send('too many');
  });
  url = await server.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(() => server.close());

/** @returns a function that counts the answers so far */
function ask(path: string, times: number): () => number {
  let answered = 0;
  for (let time = 0; time < times; time += 1) {
    void fetch(`${url}${path}`).then(async (answer) => {
      await answer.text();
      answered += 1;
    });
  }
  return () => answered;
}

async function waitUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('answers that only report an excess of requests', () => {
  it('are sent at a fixed pace, and other callers are answered meanwhile', async () => {
    const excess = ask('/excess/a', 80);
    const [welcome, other] = [ask('/welcome', 20), ask('/excess/b', 1)];
    await waitUntil(() => welcome() === 20 && other() === 1);
    expect(excess()).toBeLessThan(60);
    await waitUntil(() => excess() === 80);
  });

  it('are held for at most two seconds, however many there are', async () => {
    const began = performance.now();
    const excess = ask('/excess/a', 400);
    await waitUntil(() => excess() === 400);
    expect(performance.now() - began).toBeGreaterThan(1_500);
    expect(performance.now() - began).toBeLessThan(3_900);
  });
});
