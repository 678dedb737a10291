import type { Queryable } from '../database/named-statement.js';

/** How many months are made beside the present one. */
export const MONTHS_AHEAD = 3;

export interface RefusedMonths {
  /** Why a month was not made, by month. */
  readonly refused: Readonly<Record<string, string>>;
  /** Somebody holds the table, so no month can be made for now. */
  readonly busy: boolean;
}

/** Makes the partitions of the present month and the next ones. */
export async function makeMonths(through: Queryable, now: Date): Promise<RefusedMonths> {
  const refused: Record<string, string> = {};
  for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
    const month = firstOfMonth(now, ahead);
    try {
      await through.query('SELECT audit_make_partitions($1::date, 1)', [month]);
    } catch (error) {
      refused[month.slice(0, 7)] = String(error);
      // Each further wait would hold up everybody.
      if (isBusy(error)) return { refused, busy: true };
    }
  }
  return { refused, busy: false };
}

/** `2026-12-01` */
export function firstOfMonth(now: Date, ahead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 10);
}

/** SQLSTATE lock_not_available */
const BUSY = '55P03';

function isBusy(error: unknown): boolean {
  return (error as { driverError?: { code?: unknown } }).driverError?.code === BUSY;
}
