import { describe, expect, it } from '@jest/globals';
import { Tokenizer } from 'cborg';
import { decodeFirst, decodeWhole, MAX_ITEMS } from './cbor.js';

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');
const levels = (count: number): Buffer => Buffer.concat([Buffer.alloc(count, 0x81), hex('00')]);

describe('CBOR (RFC 8949, CTAP2 canonical form as far as it protects)', () => {
  it.each<[string, unknown]>([
    ['00', 0],
    ['3903e7', -1_000],
    ['43010203', new Uint8Array([1, 2, 3])],
    ['63666d74', 'fmt'],
    ['80', []],
    ['a10102', new Map([[1, 2]])],
    ['a1616120', new Map([['a', -1]])],
    ['f5', true],
    ['f6', null],
    ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['1bffffffffffffffff', 2n ** 64n - 1n],
    ['3bffffffffffffffff', -(2n ** 64n)],
    ['f93e00', 1.5],
    ['fb3ff199999999999a', 1.1],
    ['f97e00', Number.NaN],
    ['f97c00', Infinity],
    ['f7', undefined],
  ])('reads %s', (bytes, value) => {
    expect(decodeWhole(hex(bytes), 'it')).toEqual(value);
  });

  it('reads a map as a Map, so that no key is special', () => {
    const value = decodeWhole(hex('a1695f5f70726f746f5f5fa16161f5'), 'it');
    expect(value).toEqual(new Map([['__proto__', new Map([['a', true]])]]));
  });

  it('returns the bytes behind the first item unchanged', () => {
    const bytes = hex('a10102ff00');
    const [value, rest] = decodeFirst(bytes, 'it');
    expect(value).toEqual(new Map([[1, 2]]));
    expect(rest).toEqual(hex('ff00'));
    expect(rest.buffer).toBe(bytes.buffer);
  });

  it('accepts the one item that fills the bytes, and no other', () => {
    expect(() => decodeWhole(hex('0000'), 'the key')).toThrow('the key: 1 bytes after the CBOR item');
  });

  it.each([
    ['nothing', ''],
    ['an item cut short', 'a201'],
    ['a byte string cut short', '430102'],
    ['a header cut short', '5a0000'],
    ['a byte string of 2 GiB', '5a7fffffff'],
    ['a byte string of 8 PiB', '5b001fffffffffffff'],
    ['a byte string of 2^63 bytes', '5b8000000000000000'],
    ['a list of 2^31 items', '9a7fffffff'],
    ['a list of 2^53 items', '9b001fffffffffffff'],
    ['a map of 2^32 pairs', 'baffffffff'],
    ['a byte string of indefinite length', '5f41004100ff'],
    ['a text of indefinite length', '7f61616161ff'],
    ['a list of indefinite length', '9f00ff'],
    ['a map of indefinite length', 'bf0102ff'],
    ['a break', 'ff'],
    ['a key twice', 'a201000100'],
    ['a text key twice', 'a2616100616101'],
    ['a key twice, deeper', 'a101a201000100'],
    ['a number longer than needed', '1800'],
    ['a length longer than needed', '580100'],
    ['a tag', 'c000'],
    ['a bignum', 'c24101'],
    ['an unassigned simple value', 'e0'],
    ['a reserved additional information', '1c'],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeFirst(hex(bytes), 'it')).toThrow('malformed: it: not CBOR in CTAP2’s canonical form');
  });

  it('reads as many items as it must', () => {
    const list = Buffer.concat([hex('98ff'), Buffer.alloc(MAX_ITEMS - 1)]);
    expect(decodeWhole(list, 'it')).toHaveLength(MAX_ITEMS - 1);
  });

  it.each([
    ['a list', Buffer.concat([hex('99ea60'), Buffer.alloc(60_000)])],
    ['a map', Buffer.concat([hex('b97530'), Buffer.alloc(60_000)])],
    ['levels', levels(60_000)],
  ])('reads no more than 256 items of %s', (_, bytes) => {
    const { next } = Tokenizer.prototype;
    let read = 0;
    Tokenizer.prototype.next = function (this: Tokenizer) {
      read += 1;
      return next.call(this);
    };
    try {
      expect(() => decodeWhole(bytes, 'it')).toThrow('malformed');
    } finally {
      Tokenizer.prototype.next = next;
    }
    expect(read).toBeLessThanOrEqual(MAX_ITEMS);
  });

  it('reports that there are too many items', () => {
    expect(() => decodeWhole(levels(300), 'it')).toThrow('malformed: it: more than 256 CBOR items');
  });

  it('refuses depth before it exhausts the stack', () => {
    expect(() => decodeWhole(levels(20_000), 'it')).toThrow('malformed');
    expect(() => decodeWhole(levels(60_000), 'it')).toThrow('malformed');
  });

  it('refuses every beginning of a well-formed item', () => {
    const item = hex('a363666d74646e6f6e656761747453746d74a06861757468446174614401020304');
    for (let length = 0; length < item.length; length += 1) {
      expect(() => decodeWhole(item.subarray(0, length), 'it')).toThrow('malformed');
    }
    expect(decodeWhole(item, 'it')).toBeInstanceOf(Map);
  });
});
