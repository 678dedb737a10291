import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { IsText, isRpId, isText, IsTimestamp, Optional } from './validators.js';

class WithOptional {
  @Optional()
  @IsText(1, 4)
  name?: unknown;
}

describe('an optional member', () => {
  it.each([
    ['absent', {}, 0],
    ['undefined', { name: undefined }, 0],
    ['there', { name: 'Ada' }, 0],
    ['null, which is not absent', { name: null }, 1],
    ['empty, which is not absent', { name: '' }, 1],
    ['false, which is not absent', { name: false }, 1],
    ['wrong', { name: 7 }, 1],
  ])('is checked unless it is absent: when it is %s, %j has %i mistakes', (_, members, mistakes) => {
    expect(validateSync(Object.assign(new WithOptional(), members))).toHaveLength(mistakes);
  });
});

const acceptsText = (value: unknown): boolean => isText(value, 1, 4);

describe('text of 1 to 4 characters', () => {
  it.each(['a', 'abcd', ' ', 'äöüß', '日本語', '😀😀😀😀', 'e\u0301', '\u00a0', '\u200b', "';--", '<b>', '\\n'])(
    'can be %j',
    (text) => {
      expect(acceptsText(text)).toBe(true);
    },
  );

  it('is counted in code points, like the contract’s maxLength', () => {
    expect(isText('😀'.repeat(64), 64, 64)).toBe(true);
    expect(isText('😀'.repeat(65), 1, 64)).toBe(false);
    expect(isText('a'.repeat(65), 1, 64)).toBe(false);
    expect(isText('😀', 2, 4)).toBe(false);
  });

  it.each(['', 'abcde', '😀😀😀😀😀'])('cannot be %j, which is too short or too long', (text) => {
    expect(acceptsText(text)).toBe(false);
  });

  it.each([null, undefined, 0, 1, true, [], ['a'], {}, new String('a'), Symbol('a')])('cannot be %p', (value) => {
    expect(acceptsText(value)).toBe(false);
  });

  it('cannot have control characters, because PostgreSQL stores no NUL and a log shows the others', () => {
    const controls = [...Array(32).keys(), 127, ...Array.from({ length: 32 }, (_, at) => 128 + at)];
    for (const code of controls) expect(acceptsText(`a${String.fromCodePoint(code)}`)).toBe(false);
    for (const code of [32, 126, 160]) expect(acceptsText(`a${String.fromCodePoint(code)}`)).toBe(true);
  });

  it.each(['\ud800', '\udc00', 'a\ud83d', '\ude00a', '\ude00\ud83d'])('cannot have half of a character: %j', (text) => {
    expect(acceptsText(text)).toBe(false);
  });

  it('is refused unread when it is megabytes long', () => {
    // V8 writes a repeated text out when it is read.
    const text = 'a'.repeat(100_000_000);
    const before = process.memoryUsage().heapUsed;
    expect(acceptsText(text)).toBe(false);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000);
  });
});

describe('@IsText', () => {
  class Named {
    @IsText(1, 4)
    name: unknown;
  }

  it('names the member and its bounds in its message', () => {
    const [mistake] = validateSync(Object.assign(new Named(), { name: '' }));
    expect(mistake?.constraints).toEqual({
      isText: 'name must be text of 1 to 4 characters without control characters',
    });
  });
});

class Dated {
  @IsTimestamp()
  at: unknown;
}

const listMessages = (at: unknown): string[] =>
  validateSync(Object.assign(new Dated(), { at })).flatMap(({ constraints }) => Object.values(constraints ?? {}));

describe('a time in RFC 3339 §5.6', () => {
  it.each([
    '2026-06-30T12:34:56Z',
    '2026-06-30T12:34:56.7Z',
    '2026-06-30T12:34:56.789Z',
    '2026-06-30T12:34:56.123456789Z',
    '2026-06-30t12:34:56z',
    '2026-06-30T12:34:56+02:00',
    '2026-06-30T12:34:56-23:59',
    '2028-02-29T00:00:00Z',
    '2026-12-31T23:59:59Z',
    '0001-01-01T00:00:00Z',
    '0000-12-31T23:59:59-00:01',
    '9999-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.999999999Z',
  ])('can be %s', (text) => {
    expect(listMessages(text)).toEqual([]);
  });

  it.each([
    '',
    '2026',
    '2026-06-30',
    '2026-06-30T12:34Z',
    '2026-06-30T12:34:56',
    '2026-06-30 12:34:56Z',
    '2026-06-30T12:34:56.Z',
    '2026-06-30T12:34:56.1234567890Z',
    '2026-06-30T12:34:56,5Z',
    '2026-06-30T12:34:56+0200',
    '2026-06-30T12:34:56+2',
    '2026-06-30T12:34:56+24:00',
    '2026-06-30T12:34:56ZZ',
    ' 2026-06-30T12:34:56Z',
    '2026-06-30T12:34:56Z\n',
    '+002026-06-30T12:34:56Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-06-31T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-06-30T24:00:00Z',
    '2026-06-30T25:00:00Z',
    '2026-06-30T12:60:00Z',
    '2026-06-30T12:34:61Z',
    'Tue, 30 Jun 2026 12:34:56 GMT',
    '1782822896',
    '٢٠٢٦-06-30T12:34:56Z',
    '0000-01-01T00:00:00Z',
    '0000-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
  ])('cannot be %j', (text) => {
    expect(listMessages(text)).toEqual(['at must be an RFC 3339 time from the year 0001 to 9999 of UTC']);
  });

  it.each([null, undefined, 1_782_822_896_000, new Date(), ['2026-06-30T12:34:56Z'], {}])('cannot be %p', (value) => {
    expect(listMessages(value)).toHaveLength(1);
  });
});

const LONG = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}`;

describe('an RP ID (WebAuthn L3 §4)', () => {
  it.each([
    'localhost',
    'example.com',
    'login.bank.example',
    'xn--bcher-kva.example',
    'a.b.c.d.e.f.example',
    '1.example',
    '4chan.example',
    'a-b.example',
    'a--b.example',
    `${LONG}.${'d'.repeat(61)}`,
  ])('can be %s', (value) => {
    expect(isRpId(value)).toBe(true);
  });

  it.each([
    '',
    '.',
    'example.com.',
    '.example.com',
    'login..example',
    'Example.com',
    'EXAMPLE.COM',
    'bücher.example',
    'example.com:443',
    'https://example.com',
    'example.com/',
    'user@example.com',
    '*.example.com',
    'example.com?',
    'example.com#',
    'a_b.example',
    '-a.example',
    'a-.example',
    'example.com ',
    ' example.com',
    'example.com\n',
    'example\0.com',
    'ex%61mple.com',
    '127.0.0.1',
    '192.0.2.7',
    '1',
    '[::1]',
    '::1',
    `${'a'.repeat(64)}.example`,
    `${LONG}.${'d'.repeat(62)}`,
    'a'.repeat(60_000),
  ])('cannot be %j', (value) => {
    expect(isRpId(value)).toBe(false);
  });

  it.each([null, undefined, 7, true, {}, ['example.com'], { length: 5 }])('cannot be %p', (value) => {
    expect(isRpId(value)).toBe(false);
  });
});
