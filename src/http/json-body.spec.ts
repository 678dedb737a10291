import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';
import { measureCpuTime } from '../../test/support/cpu-time.js';
import { ProblemFilter } from './problem.filter.js';
import { acceptJsonBodies, BODY_LIMIT_BYTES } from './json-body.js';

let server: FastifyInstance;

beforeAll(async () => {
  server = fastify({ bodyLimit: BODY_LIMIT_BYTES });
  acceptJsonBodies(server);
  const problems = new ProblemFilter();
  server.setErrorHandler((error, request, reply) => {
    problems.render(error, request, reply);
  });
  server.post('/', (request) => ({ body: request.body }));
  server.delete('/', (request) => ({ body: request.body }));
  await server.ready();
});
afterAll(() => server.close());

async function post(payload: string | Buffer, headers: Record<string, string> = {}) {
  const answer = await server.inject({
    method: 'POST',
    url: '/',
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return {
    status: answer.statusCode,
    ...answer.json<{ body?: unknown; type?: string; invalid?: { pointer: string; detail: string }[] }>(),
  };
}

const malformed = (pointer = ''): object => ({
  status: 400,
  type: 'urn:passkey-manager:problem:request-malformed',
  invalid: [{ pointer, detail: expect.any(String) }],
});
const UNSUPPORTED = { status: 415, type: 'urn:passkey-manager:problem:media-type-unsupported' };
const nested = (levels: number, core = ''): string => '['.repeat(levels) + core + ']'.repeat(levels);

describe('a JSON body', () => {
  it.each([
    ['{}', {}],
    ['{"a":[1,"b",null,true]}', { a: [1, 'b', null, true] }],
    ['"text"', 'text'],
    [' \n{ "a" : 1 }\t', { a: 1 }],
    ['{"a":"\\ud83d\\ude00 😀"}', { a: '😀 😀' }],
  ])('is parsed when it is valid: %s', async (text, body) => {
    expect(await post(text)).toEqual({ status: 200, body });
  });

  it('is parsed even if the body before it was not UTF-8', async () => {
    for (const bytes of [
      [0x22, 0xe2, 0x82],
      [0x22, 0xff, 0x22],
    ]) {
      expect(await post(Buffer.from(bytes))).toMatchObject(malformed());
      expect(await post('"text"')).toEqual({ status: 200, body: 'text' });
    }
  });

  it('is searched for repeated members only outside of its strings', async () => {
    const body = { '"': ':', '\\': '{"a":1,"a":2}', '\\"': ['\\\\', '":"', ':::'] };
    expect(await post(JSON.stringify(body))).toEqual({ status: 200, body });
    expect(await post('{"a\\\\":1,"a\\\\":2}')).toMatchObject(malformed());
    expect(await post('{"a\\"":1,"a\\"":2}')).toMatchObject(malformed());
  });

  it('may be absent from a DELETE that has a media type', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const payload of ['', undefined]) {
      const answer = await server.inject({
        method: 'DELETE',
        url: '/',
        headers,
        ...(payload === '' ? { payload } : {}),
      });
      expect([answer.statusCode, answer.json()]).toEqual([200, {}]);
    }
    expect((await server.inject({ method: 'DELETE', url: '/', headers, payload: '{' })).statusCode).toBe(400);
  });

  it('may begin with a byte order mark', async () => {
    expect(await post('\ufeff{"a":1}')).toEqual({ status: 200, body: { a: 1 } });
  });

  it.each([
    '',
    ' ',
    '{',
    '{"a":1',
    '{"a":1}}',
    "{'a':1}",
    '{a:1}',
    '{"a":1,}',
    '[1,]',
    'undefined',
    'NaN',
    '01',
    '{}{}',
    '"a',
    '"\\x"',
    '"\n"',
    '][',
  ])('is refused when it is not JSON: %j', async (text) => {
    expect(await post(text)).toMatchObject(malformed());
  });

  it.each<[string, number[]]>([
    ['a stray byte', [0xff]],
    ['an overlong encoding', [0xc0, 0xaf]],
    ['an encoded surrogate', [0xed, 0xa0, 0x80]],
    ['a character cut short', [0xe2, 0x82]],
    ['Latin-1', [0xe4]],
  ])('with %s is refused, because it is not UTF-8', async (_, bytes) => {
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
    expect(await post(body)).toMatchObject({
      ...malformed(),
      invalid: [{ pointer: '', detail: 'the body is not UTF-8' }],
    });
  });

  it('in UTF-16 is refused, because it is not UTF-8', async () => {
    expect(await post(Buffer.from('\ufeff{}', 'utf16le'))).toMatchObject(malformed());
  });
});

describe('the nesting of a JSON body', () => {
  it.each([
    ['16 lists', nested(16)],
    ['16 objects', '{"a":'.repeat(16) + '1' + '}'.repeat(16)],
    ['16 lists, side by side', `[${Array.from({ length: 50 }, () => nested(15)).join()}]`],
    ['brackets in a text', JSON.stringify({ a: '['.repeat(100) })],
    ['brackets in a name', JSON.stringify({ ['{'.repeat(100)]: 1 })],
    ['brackets behind an escaped quotation mark', '{"a":"\\"[[[[[[[[[[[[[[[[[[[[[["}'],
    ['brackets behind escaped backslashes', `{"a":"\\\\\\\\\\"${'['.repeat(40)}"}`],
    ['brackets between texts that end in a backslash', `["\\\\",${nested(14)},"\\\\"]`],
  ])('is accepted up to 16 levels: %s', async (_, text) => {
    expect(await post(text)).toEqual({ status: 200, body: JSON.parse(text) });
  });

  it.each([
    ['17 lists', nested(17)],
    ['17 objects', '{"a":'.repeat(17) + '1' + '}'.repeat(17)],
    ['17 of both', `{"a":${nested(16)}}`],
    ['17 lists behind lists that are closed', `[[],[[]],[],{},${nested(16)}]`],
    ['17 lists behind a text', `["[",${nested(16)}]`],
    ['17 lists behind a text that ends in a backslash', `["\\\\",${nested(16)}]`],
    ['30,000 lists', nested(30_000)],
    ['60,000 openings', '['.repeat(60_000)],
    ['10,000 objects', '{"a":'.repeat(10_000)],
  ])('is refused beyond 16 levels: %s', async (_, text) => {
    const { invalid, ...answer } = await post(text);
    expect(answer).toMatchObject({ status: 400 });
    expect(invalid?.[0]?.detail).toContain('nested deeper than 16 levels');
  });

  it.each(['"', '\\"', '"\\"', '[', ']', '{"a":"', '\\', '\\\\"'])(
    'is checked in linear time, even for texts made to slow the check down: many %s',
    async (part) => {
      const measure = (size: number) => measureCpuTime(() => post(`"${part.repeat(size / part.length)}`));
      expect(await measure(60_000)).toBeLessThan(40 * (await measure(6_000)));
    },
  );
});

describe('an inherited member name', () => {
  it.each([
    ['{"__proto__":{"admin":true}}', '/__proto__'],
    ['{"__proto__":1}', '/__proto__'],
    ['{"a":{"__proto__":{}}}', '/a/__proto__'],
    ['{"\\u005f_proto__":{"admin":true}}', '/__proto__'],
    ['{"__proto__":{},"__proto__":{}}', '/__proto__'],
    ['{"__proto__":{"__proto__":{}}}', '/__proto__'],
    ['{"constructor":{"prototype":{"admin":true}}}', '/constructor'],
    ['{"a":[{"constructor":{"prototype":{"admin":true}}}]}', '/a/0/constructor'],
    ['{"response":{"response":{"__proto__":{"admin":true}}}}', '/response/response/__proto__'],
    ['{"constructor":1}', '/constructor'],
    ['{"constructor":1,"constructor":2}', '/constructor'],
    ['{"a":[{"toString":1}]}', '/a/0/toString'],
    ['{"a/b":{"~":{"hasOwnProperty":1}}}', '/a~1b/~0/hasOwnProperty'],
  ])('is refused: %s', async (text, pointer) => {
    const detail = 'is not a member of the contract, and has a name that every JavaScript object inherits';
    expect(await post(text)).toMatchObject({ ...malformed(), invalid: [{ pointer, detail }] });
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('a repeated member, which parsers read differently,', () => {
  it.each([
    '{"rpId":"a.example","rpId":"b.example"}',
    '{"a":1,"a":1}',
    '{"a":null,"b":1,"a":null}',
    '{"a":1,"\\u0061":2}',
    '{"":1,"":2}',
    '{"a":{"b":1},"a":{"b":1}}',
    '{"a":{"b":1,"b":2}}',
    '{"a":[{"b":1},{"b":1,"c":[],"b":1}]}',
    '[{"a":1,"a":2}]',
    '{"1":0,"1":0}',
  ])('is refused: %s', async (text) => {
    expect(await post(text)).toMatchObject({
      ...malformed(),
      invalid: [{ pointer: '', detail: 'the body names a member twice' }],
    });
  });

  it.each([
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    '{"a":1,"A":2}',
    '{"a":":","b":"\\":","c:":1}',
    '{"a":"\\\\","b":{"c":[1,[2,{"d":"x:y"}]]}}',
    '{"é":1,"e\u0301":2}',
  ])('is not seen where a name is repeated in another object or in a string: %s', async (text) => {
    expect(await post(text)).toEqual({ status: 200, body: JSON.parse(text) });
  });
});

describe('a body sent as JSON', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'APPLICATION/JSON',
  ])('is accepted with the media type %s', async (type) => {
    expect(await post('{}', { 'content-type': type })).toEqual({ status: 200, body: {} });
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'text/json',
    'application/json5',
    'application/json; charset=latin1',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8x',
    '',
  ])('is refused with the media type "%s"', async (type) => {
    expect(await post('{}', { 'content-type': type })).toMatchObject(UNSUPPORTED);
  });

  it.each(['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'GZIP', ''])(
    'is refused with the content encoding "%s"',
    async (encoding) => {
      expect(await post('{}', { 'content-encoding': encoding })).toMatchObject(UNSUPPORTED);
    },
  );

  it('is accepted with the content encoding identity, which changes nothing', async () => {
    expect(await post('{}', { 'content-encoding': 'identity' })).toMatchObject({ status: 200 });
  });
});

describe('the size of a JSON body', () => {
  const ofBytes = (bytes: number): string => JSON.stringify('a'.repeat(bytes - 2));

  it('is at most 64 KiB', async () => {
    expect(await post(ofBytes(65_536))).toMatchObject({ status: 200 });
    expect(await post(ofBytes(65_537))).toMatchObject({
      status: 413,
      type: 'urn:passkey-manager:problem:request-too-large',
    });
  });
});
