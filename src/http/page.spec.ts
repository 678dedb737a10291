import { describe, expect, it } from '@jest/globals';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { v7 as uuidv7 } from 'uuid';
import { decodeCursor, PageLimit, toPage } from './page.js';

const rows = Array.from({ length: 7 }, () => uuidv7()).sort();
const page = (from: readonly string[], limit: number) =>
  toPage(
    from.slice(0, limit + 1),
    limit,
    (row) => row,
    (row) => ({ id: row }),
  );

/** Reads a list to its end, like a client. */
function readAll(limit: number): { ids: string[]; pages: number } {
  const ids: string[] = [];
  for (let cursor: string | null | undefined, pages = 1; ; pages += 1) {
    const after = decodeCursor(cursor ?? undefined) ?? '';
    const { data, nextCursor } = page(
      rows.filter((row) => row > after),
      limit,
    );
    ids.push(...data.map(({ id }) => id));
    if (nextCursor === null) return { ids, pages };
    cursor = nextCursor;
  }
}

describe('a page', () => {
  it.each([
    [1, 7],
    [2, 4],
    [3, 3],
    [6, 2],
    [7, 1],
    [8, 1],
    [200, 1],
  ])('of at most %i rows splits seven rows into %i pages, and repeats or loses none', (limit, pages) => {
    expect(readAll(limit)).toEqual({ ids: rows, pages });
  });

  it('without rows is the last page', () => {
    expect(page([], 50)).toEqual({ data: [], nextCursor: null });
  });

  it('never shows the extra row that was read to see whether another page follows', () => {
    expect(page(rows, 3).data).toHaveLength(3);
  });
});

describe('a cursor', () => {
  it('may be absent', () => {
    expect(decodeCursor(undefined)).toBeUndefined();
  });

  const encodeCursor = (text: string): string => Buffer.from(text).toString('base64url');
  it.each([
    '',
    'AAAA',
    '*',
    encodeCursor('1'),
    encodeCursor("' OR 1=1 --"),
    encodeCursor(`${rows[0]!} `),
    encodeCursor(`${rows[0]!}\n`),
    encodeCursor(rows[0]!.slice(1)),
    rows[0]!,
    'A'.repeat(512),
  ])('that no list returned is refused: %j', (cursor) => {
    expect(() => decodeCursor(cursor)).toThrow(
      expect.objectContaining({
        slug: 'request-malformed',
        members: { invalid: [expect.objectContaining({ pointer: '/cursor' })] },
      }),
    );
  });
});

class Query {
  @PageLimit()
  limit = 50;
}

const readLimit = (query: object): number | 'refused' => {
  const instance = plainToInstance(Query, query);
  return validateSync(instance).length === 0 ? instance.limit : 'refused';
};

describe('the limit of a page', () => {
  it.each([
    [{}, 50],
    [{ limit: '1' }, 1],
    [{ limit: '200' }, 200],
    [{ limit: '007' }, 7],
  ])('is read from the query, and has a default: %j gives %i', (query, limit) => {
    expect(readLimit(query)).toBe(limit);
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
  ])('cannot be "%s"', (limit) => {
    expect(readLimit({ limit })).toBe('refused');
  });

  it('cannot occur twice or be null', () => {
    expect(readLimit({ limit: ['5', '6'] })).toBe('refused');
    expect(readLimit({ limit: null })).toBe('refused');
  });
});
