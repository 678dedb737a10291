import { describe, expect, it } from '@jest/globals';
import { AuthorizationSeal } from './authorization-seal.js';

const [STREAM, OTHER] = ['0195a000-0000-7000-8000-000000000001', '0195a000-0000-7000-8000-000000000002'];
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

  it.each<[string, (sealed: Buffer) => unknown]>([
    ['another stream', (sealed) => makeSeal(1).open(OTHER, sealed)],
    ['another key', (sealed) => makeSeal(2).open(STREAM, sealed)],
    ['a part of it', (sealed) => makeSeal(1).open(STREAM, sealed.subarray(0, -1))],
    ['the id of its key alone', (sealed) => makeSeal(1).open(STREAM, sealed.subarray(0, 4))],
    ['a changed byte', (sealed) => makeSeal(1).open(STREAM, Buffer.from(sealed.map((b, i) => (i === 20 ? b ^ 1 : b))))],
    ['nothing', () => makeSeal(1).open(STREAM, Buffer.alloc(0))],
  ])('does not open for %s', (_, open) => {
    expect(open(makeSeal(1).seal(STREAM, HEADER))).toBeUndefined();
  });
});
