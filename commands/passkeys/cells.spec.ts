import { describe, expect, it } from '@jest/globals';
import { CellFault, Cells } from './cells.js';
import { makeRow } from './row.js';

const cellsOf = (value: unknown): Cells => new Cells(makeRow(1, [['a', value]]));

const BYTES = Buffer.from('fbff00010203040506070809aabbccddeeff', 'hex');

describe('bytes', () => {
  it.each([
    ['bytea', '\\xfbff00010203040506070809aabbccddeeff'],
    ['0x…', '0xFBFF00010203040506070809AABBCCDDEEFF'],
    ['an SQL literal', "X'FBFF00010203040506070809AABBCCDDEEFF'"],
    ['hex', 'fbff00010203040506070809aabbccddeeff'],
    ['hex in capitals', 'FBFF00010203040506070809AABBCCDDEEFF'],
    ['base64', '+/8AAQIDBAUGBwgJqrvM3e7/'],
    ['base64url', '-_8AAQIDBAUGBwgJqrvM3e7_'],
    ['base64 in lines', '+/8AAQIDBAUG\r\nBwgJqrvM3e7/'],
    ['a Buffer', JSON.parse(JSON.stringify(BYTES))],
    ['a Uint8Array', JSON.parse(JSON.stringify(new Uint8Array(BYTES)))],
    ['an array', [...BYTES]],
    ['MongoDB’s Extended JSON', { $binary: { base64: '+/8AAQIDBAUGBwgJqrvM3e7/', subType: '00' } }],
  ])('are read as %s', (_, value) => {
    expect(cellsOf(value).bytes('a')).toEqual(BYTES);
  });

  it('are read with and without padding, and a short text of hexadecimal digits is base64', () => {
    expect(cellsOf('/w==').bytes('a')).toEqual(Buffer.of(0xff));
    expect(cellsOf('_w').bytes('a')).toEqual(Buffer.of(0xff));
    expect(cellsOf('deadbeef').bytes('a')).toEqual(Buffer.from('deadbeef', 'base64'));
  });

  it.each([
    ['both alphabets at once', '+_8AAQ'],
    ['bits that are left over', '_x'],
    ['a length that base64 does not have', 'AAAAA'],
    ['bytes that sqlite3 -json wrote as text', '\ufffd\u0001\u0002'],
    ['half a byte of hex', '\\xabc'],
    ['numbers that are no bytes', [1, 256]],
    ['an object', { a: 'b' }],
    ['a number', 17],
  ])('are refused with %s', (_, value) => {
    expect(() => cellsOf(value).bytes('a')).toThrow(new CellFault('a', 'is neither hex nor base64 nor base64url'));
  });
});

describe('a time', () => {
  it.each([
    ['timestamptz', '2026-11-30 20:36:57.918+00', '2026-11-30T20:36:57.918Z'],
    ['timestamptz elsewhere', '2026-11-30 20:36:57.918123-05:30', '2026-12-01T02:06:57.918Z'],
    ['timestamp, which has no zone', '2026-11-30 20:36:57', '2026-11-30T20:36:57.000Z'],
    ['RFC 3339', '2026-11-30T20:36:57+01:00', '2026-11-30T19:36:57.000Z'],
    ['Go', '2026-11-30 20:36:57.918 UTC', '2026-11-30T20:36:57.918Z'],
    ['a day', '2026-11-30', '2026-11-30T00:00:00.000Z'],
    ['seconds', '1796071017', '2026-11-30T20:36:57.000Z'],
    ['seconds with a fraction', 1_796_071_017.5, '2026-11-30T20:36:57.500Z'],
    ['milliseconds', 1_796_071_017_918, '2026-11-30T20:36:57.918Z'],
    ['MongoDB’s Extended JSON', { $date: { $numberLong: '1796071017918' } }, '2026-11-30T20:36:57.918Z'],
  ])('is read as %s', (_, value, time) => {
    expect(cellsOf(value).time('a')).toBe(time);
  });

  it.each(['yesterday', '30.11.2026', '2026-13-01', '0000-00-00 00:00:00', '1969-12-31', -1, true, 1e300])(
    'is refused as %j',
    (value) => {
      expect(() => cellsOf(value).time('a')).toThrow(new CellFault('a', 'is not a time'));
    },
  );
});

describe('a flag, a count, words and an AAGUID', () => {
  it.each([
    [true, true],
    ['t', true],
    ['TRUE', true],
    [1, true],
    ['1', true],
    ['\u0001', true],
    ['f', false],
    [0, false],
    ['false', false],
  ])('reads the flag %j as %j', (value, flag) => {
    expect(cellsOf(value).flag('a')).toBe(flag);
  });

  it.each([
    ['internal,hybrid', ['internal', 'hybrid']],
    ['["internal","smart-card"]', ['internal', 'smart-card']],
    ['{internal,"smart-card"}', ['internal', 'smart-card']],
    [['usb', 'usb'], ['usb']],
    ['', undefined],
    ['[]', undefined],
    ['{}', undefined],
  ])('reads the words %j', (value, words) => {
    expect(cellsOf(value).words('a')).toEqual(words);
  });

  it.each([
    ['01020304-0506-0708-0102-0304ABCDEF00'],
    ['010203040506070801020304abcdef00'],
    ['\\x010203040506070801020304abcdef00'],
    ['AQIDBAUGBwgBAgMEq83vAA=='],
  ])('reads the AAGUID %s', (value) => {
    expect(cellsOf(value).uuid('a')).toBe('01020304-0506-0708-0102-0304abcdef00');
  });

  it.each([
    ['flag', 'yes', 'is neither true nor false'],
    ['flag', 2, 'is neither true nor false'],
    ['count', -1, 'is not an integer from 0 to 4294967295'],
    ['count', '4294967296', 'is not an integer from 0 to 4294967295'],
    ['count', '1.5', 'is not an integer from 0 to 4294967295'],
    ['words', { a: 1 }, 'is not a list of words'],
    ['words', 'a b', 'is not a list of words'],
    ['uuid', 'none', 'is not a UUID'],
    ['text', 'a\0b', 'has a NUL character'],
    ['text', ['a'], 'is not a text'],
    ['object', 'a', 'is not a JSON object'],
  ] as const)('refuses the %s %j', (method, value, reason) => {
    expect(() => void cellsOf(value)[method]('a')).toThrow(new CellFault('a', reason));
  });
});

describe('a column', () => {
  it('is found without regard to case and underscores, by the first of its names that the table has', () => {
    const cells = new Cells(
      makeRow(1, [
        ['id', '7'],
        ['CREDENTIAL_ID', 'x'],
      ]),
    );
    expect(cells.text('credentialId', 'id')).toBe('x');
    expect(cells.text('other', 'id')).toBe('7');
  });

  it('that is absent, empty or null is undefined, and demanded it is named', () => {
    expect([undefined, null, ''].map((value) => cellsOf(value).text('a'))).toEqual([undefined, undefined, undefined]);
    const demand = (name: string) => (): unknown => cellsOf('').demand<unknown>(undefined, name);
    expect(demand('a')).toThrow('a is empty');
    expect(demand('b')).toThrow('b is missing');
  });

  it('that is there twice is refused', () => {
    const cells = new Cells(
      makeRow(1, [
        ['name', 'a'],
        ['Name', 'b'],
      ]),
    );
    expect(() => cells.text('name')).toThrow('name is there more than once');
  });
});
