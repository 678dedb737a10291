import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { IsText, isText } from './is-text.js';

const accepts = (value: unknown): boolean => isText(value, 1, 4);

describe('text of 1 to 4 characters', () => {
  it.each(['a', 'abcd', ' ', 'äöüß', '日本語', '😀😀😀😀', 'e\u0301', '\u00a0', '\u200b', "';--", '<b>', '\\n'])(
    '%j is',
    (text) => {
      expect(accepts(text)).toBe(true);
    },
  );

  it('is counted in code points, as the contract’s maxLength is', () => {
    expect(isText('😀'.repeat(64), 64, 64)).toBe(true);
    expect(isText('😀'.repeat(65), 1, 64)).toBe(false);
    expect(isText('a'.repeat(65), 1, 64)).toBe(false);
    expect(isText('😀', 2, 4)).toBe(false);
  });

  it.each(['', 'abcde', '😀😀😀😀😀'])('%j is too short or too long', (text) => {
    expect(accepts(text)).toBe(false);
  });

  it.each([null, undefined, 0, 1, true, [], ['a'], {}, new String('a'), Symbol('a')])('%p is none', (value) => {
    expect(accepts(value)).toBe(false);
  });

  it('has no control characters: PostgreSQL stores no NUL, and a log shows the others', () => {
    const controls = [...Array(32).keys(), 127, ...Array.from({ length: 32 }, (_, at) => 128 + at)];
    for (const code of controls) expect(accepts(`a${String.fromCodePoint(code)}`)).toBe(false);
    for (const code of [32, 126, 160]) expect(accepts(`a${String.fromCodePoint(code)}`)).toBe(true);
  });

  it.each(['\ud800', '\udc00', 'a\ud83d', '\ude00a', '\ude00\ud83d'])('%j has half a character', (text) => {
    expect(accepts(text)).toBe(false);
  });

  it('is refused at once when it is megabytes', () => {
    const started = performance.now();
    expect(accepts('a'.repeat(20_000_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(200);
  });
});

describe('@IsText', () => {
  class Dto {
    @IsText(1, 4)
    name: unknown;
  }

  it('names the member and what it may be', () => {
    const [mistake] = validateSync(Object.assign(new Dto(), { name: '' }));
    expect(mistake?.constraints).toEqual({
      isText: 'name must be text of 1 to 4 characters without control characters',
    });
  });
});
