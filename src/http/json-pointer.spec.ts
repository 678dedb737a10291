import { describe, expect, it } from '@jest/globals';
import { appendPointer } from './json-pointer.js';

describe('a JSON pointer (RFC 6901)', () => {
  it.each([
    ['', 'name', '/name'],
    ['/a', '0', '/a/0'],
    ['', '', '/'],
    ['', 'a/b', '/a~1b'],
    ['', 'm~n', '/m~0n'],
    ['', '~1', '/~01'],
    ['/a~1b', '/', '/a~1b/~1'],
  ])('of the object at "%s" and its member "%s" is %s', (parent, name, pointer) => {
    expect(appendPointer(parent, name)).toBe(pointer);
  });

  it('shows the beginning of a long name, and no half of an escape', () => {
    expect(appendPointer('', '~'.repeat(60_000))).toBe(`/${'~0'.repeat(256)}`);
  });

  it('shows no half of a character', () => {
    expect(appendPointer('', `a${'😀'.repeat(200)}`)).toBe(`/a${'😀'.repeat(127)}\ufffd`);
  });
});
