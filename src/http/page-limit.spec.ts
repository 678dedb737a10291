import { describe, expect, it } from '@jest/globals';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { PageLimit } from './page-limit.js';

class Query {
  @PageLimit()
  limit = 50;
}

const read = (query: object): number | 'refused' => {
  const instance = plainToInstance(Query, query);
  return validateSync(instance).length === 0 ? instance.limit : 'refused';
};

describe('the limit of a page', () => {
  it.each([
    [{}, 50],
    [{ limit: '1' }, 1],
    [{ limit: '200' }, 200],
    [{ limit: '007' }, 7],
  ])('%j is %i', (query, limit) => {
    expect(read(query)).toBe(limit);
  });

  it.each([
    '0',
    '201',
    '-1',
    '1.5',
    '1e2',
    '0x10',
    '+5',
    ' 5',
    '5 ',
    '',
    'ten',
    'NaN',
    'Infinity',
    '9'.repeat(400),
    '٥',
  ])('"%s" is none', (limit) => {
    expect(read({ limit })).toBe('refused');
  });

  it('comes once', () => {
    expect(read({ limit: ['5', '6'] })).toBe('refused');
    expect(read({ limit: null })).toBe('refused');
  });
});
