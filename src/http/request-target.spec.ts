import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';
import { ProblemFilter } from './problem.filter.js';
import { refuseBadEncoding } from './request-target.js';

let server: FastifyInstance;

beforeAll(async () => {
  const problems = new ProblemFilter();
  server = fastify();
  refuseBadEncoding(server);
  server.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  server.get('/', (request) => request.query);
  await server.ready();
});
afterAll(() => server.close());

describe('a request target', () => {
  it.each([
    ['/?userId=u%2F1', { userId: 'u/1' }],
    ['/?userId=%F0%9F%98%80', { userId: '😀' }],
    ['/?userId=a+b', { userId: 'a b' }],
  ])('%s is percent-encoded UTF-8', async (url, query) => {
    expect((await server.inject({ url })).json()).toEqual(query);
  });

  it.each(['/?userId=%', '/?userId=%zz', '/?userId=%F0%9F', '/?%ff', '/?userId=%C0%AF', '/?userId=%ED%A0%80'])(
    '%s is not',
    async (url) => {
      const answer = await server.inject({ url });
      expect(answer.json()).toMatchObject({ status: 400, type: 'urn:passkey-manager:problem:request-malformed' });
    },
  );
});
