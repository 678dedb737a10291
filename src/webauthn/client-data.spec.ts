import { describe, expect, it } from '@jest/globals';
import { measureCpuTime } from '../../test/support/cpu-time.js';
import { type ClientDataExpectation, verifyClientData } from './client-data.js';
import { Refusal } from './refusal.js';

const ORIGIN = 'https://login.example.com';
const SHOP = 'https://shop.example';
const CHALLENGE = Buffer.alloc(32, 9);

const encoded = (text: string): string => Buffer.from(text).toString('base64url');

function refusalOf(text: string, expected: Partial<ClientDataExpectation> = {}): Refusal | string {
  const type = expected.type ?? 'webauthn.get';
  const crossOrigin = { allow: false, topOrigins: [] };
  try {
    return `holds: ${verifyClientData(encoded(text), { type, challenge: CHALLENGE, origins: [ORIGIN], crossOrigin, ...expected }).topOrigin ?? 'no top origin'}`;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

const clientData = (members: Record<string, unknown> = {}): string =>
  JSON.stringify({ type: 'webauthn.get', challenge: CHALLENGE.toString('base64url'), origin: ORIGIN, ...members });

describe.each(['webauthn.create', 'webauthn.get'] as const)('client data of %s', (type) => {
  const allow = { allow: true, topOrigins: [] };
  const only = { allow: true, topOrigins: [SHOP] };
  const deny = { allow: false, topOrigins: [SHOP] };

  it.each<[Record<string, unknown>, ClientDataExpectation['crossOrigin'], string]>([
    [{}, deny, 'holds: no top origin'],
    [{ crossOrigin: false }, deny, 'holds: no top origin'],
    [{ crossOrigin: false }, only, 'holds: no top origin'],
    [{ crossOrigin: true }, deny, 'cross-origin-denied'],
    [{ crossOrigin: true, topOrigin: SHOP }, deny, 'cross-origin-denied'],
    [{ crossOrigin: true }, allow, 'holds: no top origin'],
    [{ crossOrigin: true, topOrigin: SHOP }, allow, `holds: ${SHOP}`],
    [{ crossOrigin: true, topOrigin: SHOP }, only, `holds: ${SHOP}`],
    [{ crossOrigin: true, topOrigin: 'https://evil.example' }, only, 'cross-origin-denied'],
    [{ crossOrigin: true, topOrigin: `${SHOP}/` }, only, 'cross-origin-denied'],
    [{ crossOrigin: true }, only, 'cross-origin-denied'],
    [{ topOrigin: SHOP }, allow, 'cross-origin-denied'],
    [{ topOrigin: SHOP }, only, 'cross-origin-denied'],
    [{ topOrigin: null }, allow, 'holds: no top origin'],
    [{ topOrigin: null }, deny, 'holds: no top origin'],
    [{ crossOrigin: false, topOrigin: SHOP }, allow, 'cross-origin-denied'],
    [{ crossOrigin: true, topOrigin: null }, allow, 'holds: no top origin'],
    [{ crossOrigin: true, topOrigin: null }, only, 'cross-origin-denied'],
    [{ crossOrigin: null, topOrigin: SHOP }, allow, 'cross-origin-denied'],
    [{ crossOrigin: true, topOrigin: [SHOP] }, only, 'malformed'],
    [{ crossOrigin: 'true' }, allow, 'malformed'],
    [{ crossOrigin: 1 }, allow, 'malformed'],
    [{ crossOrigin: 'false' }, allow, 'malformed'],
    [{ crossOrigin: null }, deny, 'holds: no top origin'],
  ])('%j under the policy %j: %s', (members, crossOrigin, outcome) => {
    const refusal = refusalOf(clientData({ type, ...members }), { type, crossOrigin });
    expect(refusal instanceof Refusal ? refusal.reason : refusal).toBe(outcome);
  });

  it('is checked for its type, its challenge and its origin, in this order', () => {
    const nothing = { type: 'x', challenge: 'x', origin: 'x', crossOrigin: true };
    expect(refusalOf(clientData(nothing), { type })).toMatchObject({ reason: 'type-mismatch' });
    expect(refusalOf(clientData({ ...nothing, type }), { type })).toMatchObject({ reason: 'challenge-mismatch' });
    const challenge = CHALLENGE.toString('base64url');
    expect(refusalOf(clientData({ ...nothing, type, challenge }), { type })).toMatchObject({
      reason: 'origin-mismatch',
    });
  });

  it('may begin with a byte order mark', () => {
    expect(refusalOf(`\ufeff${clientData({ type })}`, { type })).toBe('holds: no top origin');
  });
});

describe('a repeated member', () => {
  const twice = (first: string, second: string): string =>
    `{${first}:"webauthn.get",${second}:"webauthn.get","origin":"${ORIGIN}"}`;

  it.each([
    ['"type"', '"type"'],
    ['"type"', '"\\u0074ype"'],
    ['"type" ', '\n"type"\t'],
    ['"a\\"b"', '"a\\"b"'],
    ['"__proto__"', '"__proto__"'],
  ])('%s and %s is refused, because readers disagree on which one counts', (first, second) => {
    expect(refusalOf(twice(first, second))).toMatchObject({
      reason: 'malformed',
      detail: expect.stringContaining('twice'),
    });
  });

  it.each(['{}', '{"type":1}', '[]', '[{"a":[]}]', '"{"', '"a{"', '"}"', '"\\"}"', '"a\\\\"'])(
    'is found behind %s',
    (value) => {
      expect(refusalOf(clientData().replace('{', `{"x":${value},"type":1,`))).toMatchObject({
        reason: 'malformed',
        detail: 'clientDataJSON names a member twice',
      });
    },
  );

  it.each(['{"a":1,"a":1}', '{"a":{"b":[],"b":[]}}', '[{"a":1,"b":2},{"a":1,"\\u0061":2}]', '[[[{"":"","":""}]]]'])(
    'is refused within another member too: %s',
    (value) => {
      expect(refusalOf(clientData().replace('{', `{"x":${value},`))).toMatchObject({
        reason: 'malformed',
        detail: 'clientDataJSON names a member twice',
      });
    },
  );

  it.each(['{"a":', '['])('is found at any depth: %s', (open) => {
    const deep = (core: string): string => open.repeat(20_000) + core + (open === '[' ? ']' : '}').repeat(20_000);
    expect(refusalOf(clientData().replace('{', `{"x":${deep('{"a":1}')},`))).toBe('holds: no top origin');
    expect(refusalOf(clientData().replace('{', `{"x":${deep('{"a":1,"a":1}')},`))).toMatchObject({
      reason: 'malformed',
    });
  });

  it.each([['"x":{"type":1}'], ['"x":[{"type":1},{"type":1}]'], ['"x":"type","y":"\\"type\\":"'], ['"Type":1']])(
    'is not reported for %s',
    (members) => {
      const text = clientData().replace('{', `{${members},`);
      expect(refusalOf(text)).toBe('holds: no top origin');
    },
  );

  it.each<[string, (size: number) => string]>([
    ...['"a\\"', '"', '{"', ' ', '"a" ', '['].map((part): [string, (size: number) => string] => [
      `an open text of many ${part}`,
      (size) => `{"x":"${part.repeat(size)}`,
    ]),
    ['many lists', (size) => `{"x":${'["a" ,'.repeat(size / 10)}1${']'.repeat(size / 10)}}`],
    ['many quotation marks', (size) => `{"x":"${'\\"'.repeat(size)}"}`],
  ])('is found in linear time in %s', async (_, write) => {
    const measure = (size: number) => measureCpuTime(() => refusalOf(write(size)));
    expect(await measure(50_000)).toBeLessThan(40 * (await measure(5_000)));
  });
});

describe('the detail of a refusal', () => {
  const origins = [ORIGIN, SHOP];
  const some = { allow: true, topOrigins: origins };
  it.each<[string, number, string, Partial<ClientDataExpectation>]>([
    ['{', 9, 'clientDataJSON is not JSON in UTF-8', {}],
    ['[]', 9, 'clientDataJSON is not a JSON object', {}],
    [clientData({ crossOrigin: 1 }), 9, 'crossOrigin is not true or false', {}],
    [clientData({ type: 'x' }), 10, 'type is "x", not "webauthn.get"', {}],
    [clientData({ type: undefined }), 10, 'type is absent, not "webauthn.get"', {}],
    [
      clientData({ challenge: 'AAAA' }),
      11,
      'the answer is for another challenge than the one with this challengeId',
      {},
    ],
    [clientData({ origin: 'x' }), 12, `origin is "x", not one of ${ORIGIN}`, {}],
    [clientData({ origin: 'x' }), 12, `origin is "x", not one of ${ORIGIN}, ${SHOP}`, { origins }],
    [
      clientData({ crossOrigin: true }),
      13,
      'the ceremony ran in a cross-origin frame, which the policy does not allow',
      {},
    ],
    [
      clientData({ topOrigin: SHOP }),
      14,
      'the client data has a topOrigin, but the ceremony did not run in a cross-origin frame',
      {},
    ],
    [clientData({ crossOrigin: true, topOrigin: 1 }), 14, 'topOrigin is not a string', { crossOrigin: some }],
    [
      clientData({ crossOrigin: true, topOrigin: 'x' }),
      14,
      `topOrigin is "x", not one of ${ORIGIN}, ${SHOP}`,
      { crossOrigin: some },
    ],
    [
      clientData({ crossOrigin: true }),
      14,
      `topOrigin is absent, not one of ${ORIGIN}, ${SHOP}`,
      { crossOrigin: some },
    ],
  ])('says for %s: step %i, %s', (text, number, detail, expected) => {
    expect(refusalOf(text, expected)).toMatchObject({ clause: `§7.2 step ${String(number)}`, detail });
  });

  it('names the member that cannot be decoded, in the step that decodes it', () => {
    const expected = { challenge: CHALLENGE, origins: [ORIGIN], crossOrigin: { allow: false, topOrigins: [] } };
    const verify = (text: string) => () => verifyClientData(text, { type: 'webauthn.create', ...expected });
    expect(verify('e30=')).toThrow(
      expect.objectContaining({ clause: '§7.1 step 5', detail: 'clientDataJSON is not base64url' }),
    );
    expect(verify('_w')).toThrow(
      expect.objectContaining({ clause: '§7.1 step 5', detail: 'clientDataJSON is not JSON in UTF-8' }),
    );
  });

  it('never contains the challenge', () => {
    const { message } = refusalOf(clientData({ challenge: 'AAAA' })) as Refusal;
    expect(message).not.toContain(CHALLENGE.toString('base64url'));
    expect(message).not.toContain('AAAA');
  });

  it.each([196, 197, 198, 199, 200])(
    'has at most 200 received characters, cut at %i without breaking one',
    (length) => {
      const refusal = refusalOf(clientData({ origin: `${'a'.repeat(length)}😀😀😀` })) as Refusal;
      expect(refusal.detail.isWellFormed()).toBe(true);
      expect(refusal.message.isWellFormed()).toBe(true);
      expect(refusal.detail.length).toBeLessThan(300);
    },
  );

  it.each([
    ['a text', '"x"'.padEnd(20_000, ' ')],
    ['a list', JSON.stringify(Array.from({ length: 1_000 }, () => [{}]))],
    ['20,000 levels', '['.repeat(20_000) + ']'.repeat(20_000)],
    ['control characters', '"\\u0000\\u001b[31m"'],
    ['a lone surrogate', '"\\ud800"'],
  ])('is short and clean when the type is %s', (_, value) => {
    const { detail } = refusalOf(`{"type":${value}}`) as Refusal;
    expect(detail.length).toBeLessThan(300);
    // eslint-disable-next-line no-control-regex -- it looks for control characters
    expect(detail).not.toMatch(/[\u0000-\u001f]/);
    expect(detail.isWellFormed()).toBe(true);
  });
});
