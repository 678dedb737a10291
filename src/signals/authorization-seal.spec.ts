import { describe, expect, it } from '@jest/globals';
import { sealForStreamAlone } from '../../test/support/old-authorization-seal.js';
import { AuthorizationSeal } from './authorization-seal.js';

const STREAM = { id: '0195a000-0000-7000-8000-000000000001', endpointUrl: 'https://events.bank.example/a' };
const OTHER = { ...STREAM, id: '0195a000-0000-7000-8000-000000000002' };
const MOVED = { ...STREAM, endpointUrl: 'https://events.bank.example/b' };
const HEADER = 'Bearer secret';
const makeSeal = (...fills: [number, ...number[]]): AuthorizationSeal =>
  new AuthorizationSeal({ signalSecrets: fills.map((fill) => Buffer.alloc(32, fill)) as [Buffer, ...Buffer[]] });

describe('a sealed Authorization header', () => {
  it('opens for its stream, and differs each time', () => {
    const seal = makeSeal(1);
    const sealed = seal.seal(STREAM, HEADER);
    expect(seal.open(STREAM, sealed)).toEqual({ header: HEADER, isOld: false });
    expect(sealed.equals(seal.seal(STREAM, HEADER))).toBe(false);
    expect(sealed.includes('secret')).toBe(false);
  });

  it('opens with a key that is no longer the first, and says so', () => {
    expect(makeSeal(2, 1).open(STREAM, makeSeal(1).seal(STREAM, HEADER))).toEqual({ header: HEADER, isOld: true });
  });

  it.each<[string, (sealed: Buffer) => unknown, string]>([
    ['another stream', (sealed) => makeSeal(1).open(OTHER, sealed), 'altered'],
    ['another URL', (sealed) => makeSeal(1).open(MOVED, sealed), 'altered'],
    ['another key', (sealed) => makeSeal(2).open(STREAM, sealed), 'key-unknown'],
    ['a part of it', (sealed) => makeSeal(1).open(STREAM, sealed.subarray(0, -1)), 'altered'],
    ['the id of its key alone', (sealed) => makeSeal(1).open(STREAM, sealed.subarray(0, 4)), 'altered'],
    [
      'a changed byte',
      (sealed) => makeSeal(1).open(STREAM, Buffer.from(sealed.map((b, i) => (i === 20 ? b ^ 1 : b)))),
      'altered',
    ],
    ['nothing', () => makeSeal(1).open(STREAM, Buffer.alloc(0)), 'key-unknown'],
  ])('does not open for %s', (_, open, fault) => {
    expect(open(makeSeal(1).seal(STREAM, HEADER))).toBe(fault);
  });
});

describe('a header that the version before sealed, for its stream alone', () => {
  const old = sealForStreamAlone(Buffer.alloc(32, 1), STREAM.id, HEADER);

  it('opens, and says that it is old', () => {
    expect(makeSeal(1).open(STREAM, old)).toEqual({ header: HEADER, isOld: true });
    expect(makeSeal(1).open(OTHER, old)).toBe('altered');
  });

  it('is bound to its URL by a renewal, and a renewed one needs none', () => {
    const renewed = makeSeal(1).renew(STREAM, old)!;
    expect(makeSeal(1).open(STREAM, renewed)).toEqual({ header: HEADER, isOld: false });
    expect(makeSeal(1).open(MOVED, renewed)).toBe('altered');
    expect(makeSeal(1).renew(STREAM, renewed)).toBeUndefined();
    expect(makeSeal(1).renew(MOVED, renewed)).toBeUndefined();
  });

  it('cannot be made of a newer one: the id of the key says which form it has', () => {
    const sealed = makeSeal(1).seal(STREAM, HEADER);
    expect(makeSeal(1).open(MOVED, Buffer.concat([old.subarray(0, 4), sealed.subarray(4)]))).toBe('altered');
  });
});
