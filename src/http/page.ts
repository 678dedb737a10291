import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';
import { createMalformedProblem } from './problem.js';
import { UUID } from './validators.js';

/** The pattern of a cursor in `nextCursor`. */
export const CURSOR = /^[A-Za-z0-9_-]{1,512}$/;
export const CURSOR_WORDS = 'the nextCursor of an earlier page';

/**
 * The most entries of a page, 1 to 200. It accepts decimal digits only: Number() would also accept ` 7`, `1e2` and
 * `0x10`.
 */
export function PageLimit(): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value,
    ),
    IsInt(),
    Min(1),
    Max(200),
  );
}

/** A page of a list that is read by key. `nextCursor` is null on the last page. */
export interface Page<T> {
  readonly data: T[];
  readonly nextCursor: string | null;
}

/** @param rows up to `limit + 1` rows: a row beyond the limit means that there is a next page */
export function toPage<Row, T>(
  rows: Row[],
  limit: number,
  keyOf: (row: Row) => string,
  show: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return {
    data: shown.map(show),
    nextCursor: encodeCursor(last && keyOf(last)),
  };
}

/** @param key of the last entry of a page; undefined: it is the last page */
export function encodeCursor(key: string | undefined): string | null {
  return key === undefined ? null : Buffer.from(key).toString('base64url');
}

/** @throws Problem request-malformed for a cursor that no list issued */
export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, 'base64url').toString('latin1');
  if (UUID.test(key)) return key;
  throw createMalformedProblem('is not a cursor that this service issued', '/cursor');
}
