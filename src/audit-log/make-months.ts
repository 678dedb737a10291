import type { Queryable } from '../database/named-statement.js';

/** Number of months that are made beyond the current one. */
export const MONTHS_AHEAD = 3;

export interface RefusedMonths {
  /** Why partitions were not made, by month (`2026-12`). */
  readonly refused: Readonly<Record<string, string>>;
  /** True if another session holds the table, so that no partition can be made for now. */
  readonly busy: boolean;
}

/** Makes the partitions of the current month and the next ones. */
export async function makeMonths(through: Queryable, now: Date): Promise<RefusedMonths> {
  const refused: Record<string, string> = {};
  for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
    const month = formatFirstOfMonth(now, ahead);
    try {
      await through.query('SELECT audit_make_partitions($1::date, 1)', [month]);
    } catch (error) {
      refused[month.slice(0, 7)] = String(error);
      // Each further wait would hold up every other session.
      if (isBusy(error)) return { refused, busy: true };
    }
  }
  return { refused, busy: false };
}

/** Returns the first day of a month, such as `2026-12-01`. */
export function formatFirstOfMonth(now: Date, ahead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 10);
}

/** SQLSTATE lock_not_available */
const BUSY = '55P03';

function isBusy(error: unknown): boolean {
  return (error as { driverError?: { code?: unknown } }).driverError?.code === BUSY;
}
