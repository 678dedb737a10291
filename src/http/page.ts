import { UUID } from './id.param.js';
import { Problem } from './problem.js';

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
    nextCursor: last === undefined ? null : Buffer.from(keyOf(last)).toString('base64url'),
  };
}

/** @throws Problem request-malformed for a cursor that no list issued */
export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, 'base64url').toString('latin1');
  if (UUID.test(key)) return key;
  throw new Problem('request-malformed', {
    invalid: [{ pointer: '/cursor', detail: 'is not a cursor that this service issued' }],
  });
}
