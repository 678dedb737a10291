import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { IsText } from './is-text.js';
import { Optional } from './optional.js';

class Dto {
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
  ])('may be %s: %j has %i mistakes', (_, members, mistakes) => {
    expect(validateSync(Object.assign(new Dto(), members))).toHaveLength(mistakes);
  });
});
