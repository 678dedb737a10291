import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { demandCanonical, isCanonical, parseUnambiguous } from './canonical-json.js';
import { LineFault } from './lines.js';

describe('RFC 8785: canonical JSON', () => {
  const json = fc.jsonValue({ maxDepth: 5, noUnicodeString: false });

  it('is recognised among all other ways to write it', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = demandCanonical(value);
        expect(isCanonical(text, JSON.parse(text))).toBe(true);
        for (const other of [JSON.stringify(value), JSON.stringify(value, null, 1)]) {
          if (isCanonical(other, JSON.parse(other))) expect(other).toBe(text);
        }
      }),
    );
  });

  it.each([
    ['a space', '{"a": 1}'],
    ['names out of order', '{"b":1,"a":2}'],
    ['names out of order in an array', '[{"b":1,"a":2}]'],
    ['names out of order in an object', '{"a":{"c":1,"b":2}}'],
    ['a name twice', '{"a":1,"a":1}'],
    ['an escape that is not needed', '"\\u0061"'],
    ['a solidus escaped', '"\\/"'],
    ['a number written longer', '[1.0]'],
    ['minus zero', '[-0]'],
    ['a lone surrogate', '"\\ud800"'],
    ['numbers as names in the order of numbers', '{"9":1,"10":1}'],
  ])('does not have %s', (_, text) => {
    expect(isCanonical(text, JSON.parse(text))).toBe(false);
  });

  it('has no form for a lone surrogate', () => {
    expect(() => demandCanonical(['\ud800'])).toThrow(LineFault);
  });
});

describe('JSON that every reader understands in the same way', () => {
  it('has each name once, in any layout', () => {
    const once = { a: [{ a: 1 }, { a: 2 }, 'a', ',"a":', '\\"'], b: { a: null, c: [], d: {}, '': true } };
    expect(parseUnambiguous(JSON.stringify(once, null, 2))).toEqual(once);
    expect(parseUnambiguous('{"a":[1,"a",{"a":-1.5e-7}],"b":"a"}')).toEqual({ a: [1, 'a', { a: -1.5e-7 }], b: 'a' });
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = demandCanonical(value);
        expect(parseUnambiguous(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['a name twice', '{"a":1,"a":1}', 'twice'],
    ['a name twice, once escaped', '{"a":1,"\\u0061":1}', 'twice'],
    ['a name twice further in', '[{"b":{"a":1,"c":[{"a":1}],"a":2}}]', 'twice'],
    ['a name twice after an object', '{"a":{"b":1},"a":1}', 'twice'],
    ['a number that is rounded', '[9007199254740993]', 'number 9007199254740993'],
    ['a number with more digits than it holds', '{"time":1764000000000.00000001}', 'number'],
    ['a number that is too large', '[1e400]', 'number'],
    ['minus zero', '[-0]', 'number'],
    ['a number written longer', '[1.0]', 'number'],
    ['65 levels', `${'['.repeat(65)}${']'.repeat(65)}`, 'nested'],
    ['no end', '{"a":1', 'not JSON'],
    ['two values', '{}{}', 'not JSON'],
    ['nothing', '', 'not JSON'],
  ])('does not have %s', (_, text, reason) => {
    expect(() => parseUnambiguous(text)).toThrow(reason);
  });

  it('is recognised at any depth without exhausting the stack', () => {
    expect(() => parseUnambiguous(`${'['.repeat(400_000)}${']'.repeat(400_000)}`)).toThrow(LineFault);
  });
});
