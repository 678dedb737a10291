import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  HttpException,
  Logger,
  NotFoundException,
  PayloadTooLargeException,
} from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { fastify, type FastifyInstance } from 'fastify';
import { QueryFailedError } from 'typeorm';
import { ProblemFilter } from './problem.filter.js';
import { Problem } from './problem.js';
import { describeSqlState } from './sql-states.js';

const SECRET = 'postgresql://service:s3cret@db';

let server: FastifyInstance;
let thrown: unknown;
const lines: unknown[] = [];

beforeAll(async () => {
  const keep = (line: unknown): void => void lines.push(line);
  Logger.overrideLogger({ log: keep, error: keep, warn: keep, debug: keep });
  const filter = new ProblemFilter();
  server = fastify({ genReqId: () => 'request-1' });
  server.get('/', (request, reply) => {
    filter.catch(thrown, new ExecutionContextHost([request, reply]));
    return reply;
  });
  await server.ready();
});
beforeEach(() => {
  lines.length = 0;
});
afterAll(() => server.close());

async function renderError(error: unknown) {
  thrown = error;
  const { statusCode, headers, body } = await server.inject({ url: '/' });
  return { status: statusCode, headers, body: JSON.parse(body) as Record<string, unknown>, text: body };
}

const sqlError = (code: string): Error =>
  new QueryFailedError(`SELECT '${SECRET}'`, [SECRET], Object.assign(new Error(SECRET), { code }));

describe('a problem', () => {
  it('is rendered as RFC 9457 requires, with its members and the request’s id', async () => {
    const { status, headers, body } = await renderError(
      new Problem('authentication-rejected', {
        reason: 'signature-invalid',
        detail: 'the signature of the attestation statement was not made over this authenticator data and client data',
      }),
    );
    expect([status, headers['content-type']]).toEqual([422, 'application/problem+json; charset=utf-8']);
    expect(body).toEqual({
      type: 'urn:passkey-manager:problem:authentication-rejected',
      title: 'The authentication was refused',
      status: 422,
      reason: 'signature-invalid',
      detail: 'the signature of the attestation statement was not made over this authenticator data and client data',
      instance: 'request-1',
    });
    expect(lines).toEqual([]);
  });

  it.each([
    [0.2, '1'],
    [1, '1'],
    [2.4, '3'],
    [600, '600'],
  ])('that ends after %d seconds says in whole seconds when to retry: %s', async (retryAfter, header) => {
    const { headers, body } = await renderError(new Problem('rate-limited', { retryAfter }));
    expect(headers['retry-after']).toBe(header);
    expect(body).not.toHaveProperty('retryAfter');
  });
});

describe('an error that is not a problem', () => {
  it.each<[string, unknown]>([
    ['an error', new Error(SECRET)],
    ['a TypeError', new TypeError(SECRET)],
    ['a text', SECRET],
    ['an object', { message: SECRET, statusCode: 400 }],
    ['an error with a status of unknown origin', Object.assign(new Error(SECRET), { statusCode: 404, status: 404 })],
    ['an error with a cause', new Error('x', { cause: new Problem('challenge-spent') })],
    ['an exception of 500', new HttpException(SECRET, 500)],
    ['an exception of 502', new HttpException(SECRET, 502)],
    ['an exception of 2xx', new HttpException(SECRET, 200)],
    ['nothing', undefined],
    ['null', null],
    ['a symbol', Symbol(SECRET)],
    ['a function', () => SECRET],
  ])('is answered with a 500 that reveals nothing: %s', async (_, error) => {
    const { status, headers, body } = await renderError(error);
    expect([status, headers['content-type']]).toEqual([500, 'application/problem+json; charset=utf-8']);
    expect(body).toEqual({ type: 'about:blank', title: 'Internal Server Error', status: 500, instance: 'request-1' });
    expect(JSON.stringify(headers)).not.toContain('s3cret');
  });

  it('is logged with the request’s id', async () => {
    await renderError(new Error('why'));
    expect(lines).toEqual([
      { message: 'request failed', requestId: 'request-1', error: expect.objectContaining({ message: 'why' }) },
    ]);
  });
});

describe('an unavailable database', () => {
  it.each([
    sqlError('57P01'),
    sqlError('53300'),
    Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' }),
    Object.assign(new Error(SECRET), { code: 'ECONNRESET' }),
  ])('is answered with a 503 that says when to retry and reveals nothing: %p', async (error) => {
    const { status, headers, text, body } = await renderError(error);
    expect([status, headers['retry-after'], body['type']]).toEqual([
      ...[503, '1', 'urn:passkey-manager:problem:unavailable'],
    ]);
    expect(text).not.toContain('s3cret');
    expect(lines).toHaveLength(1);
  });

  it.each(['53100', '42601'])('is logged with what PostgreSQL said, %s, and what it means', async (sqlState) => {
    await renderError(sqlError(sqlState));
    expect(lines).toMatchObject([{ message: 'request failed', sqlState, meaning: describeSqlState(sqlState) }]);
  });
});

describe('a caller that hangs up in the middle of its body', () => {
  it('is neither logged nor counted as a 5xx, so that callers cannot fill the log and the count', async () => {
    const { promise: rendering, resolve } = Promise.withResolvers<number>();
    const problems = new ProblemFilter();
    const listening = fastify();
    listening.setErrorHandler((error, request, reply) => {
      problems.render(error, request, reply);
      resolve(reply.statusCode);
    });
    listening.post('/', () => ({}));
    try {
      await listening.listen({ port: 0, host: '127.0.0.1' });
      const socket = connect((listening.server.address() as AddressInfo).port, '127.0.0.1');
      socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a"');
      await once(listening.server, 'request');
      socket.destroy();
      expect([await rendering, lines]).toEqual([400, []]);
    } finally {
      await listening.close();
    }
  });
});

describe('an error of the framework', () => {
  it.each<[unknown, number, string]>([
    [new NotFoundException('Cannot GET /x'), 404, 'not-found'],
    [new PayloadTooLargeException(), 413, 'request-too-large'],
    [new HttpException('x', 415), 415, 'media-type-unsupported'],
    [new BadRequestException('Unexpected token'), 400, 'request-malformed'],
    [new HttpException('x', 499), 400, 'request-malformed'],
    [Object.assign(new Error('x'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }), 413, 'request-too-large'],
    [
      Object.assign(new Error('x'), { code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }),
      415,
      'media-type-unsupported',
    ],
    [
      Object.assign(new Error('x'), { code: 'FST_ERR_CTP_INVALID_JSON_BODY', statusCode: 400 }),
      400,
      'request-malformed',
    ],
  ])('becomes a problem: %p is answered with %i %s', async (error, status, slug) => {
    const answer = await renderError(error);
    expect(answer.body).toMatchObject({ status, type: `urn:passkey-manager:problem:${slug}` });
    expect(answer.status).toBe(status);
    const { message } = error as Error;
    expect(answer.body['invalid']).toEqual(
      slug === 'request-malformed' ? [{ pointer: '', detail: message }] : undefined,
    );
  });

  it('does not reveal a path that cannot be decoded', async () => {
    const error = Object.assign(new Error("'/%ff' is not a valid url component"), {
      code: 'FST_ERR_BAD_URL',
      statusCode: 400,
    });
    const { body } = await renderError(error);
    expect(body['invalid']).toEqual([{ pointer: '', detail: 'the path is not percent-encoded UTF-8' }]);
  });
});
