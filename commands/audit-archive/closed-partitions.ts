import type { Queryable } from '../../src/database/named-statement.js';
import { toFirstId, parseIdTime } from '../../src/audit/event-id.js';
import type { LeafRange } from '../../src/audit-log/log-lines.js';
import { ArchiveError } from './archive-error.js';

/** A partition of one or more months to which nothing is added any more. */
export interface ClosedPartition {
  readonly name: string;
  /** `2026-01`, or `until-2026-01` for the partition of all events from before partitions were monthly. */
  readonly months: string;
  readonly lowerId: string;
  readonly upperId: string;
}

/** The leaves and the number of events of a partition. */
export interface Extent extends LeafRange {
  readonly events: number;
}

const NAME = /^audit_event_[a-z0-9_]+$/;

/** Lists the partitions that end before a time, oldest first, because retention takes the oldest events first. */
export async function listClosedPartitions(through: Queryable, before: Date): Promise<ClosedPartition[]> {
  const rows = await through.query<{ name: string; lower_id: string; upper_id: string }[]>(
    'SELECT name, lower_id, upper_id FROM audit_partitions() WHERE upper_id <= $1 ORDER BY lower_id',
    [toFirstId(before.getTime())],
  );
  return rows.map(({ name, lower_id: lowerId, upper_id: upperId }) => {
    if (!NAME.test(name)) throw new ArchiveError(`the partition ${name} was not made by this service`);
    const last = new Date(parseIdTime(upperId) - 1).toISOString().slice(0, 7);
    return { name, months: parseIdTime(lowerId) === 0 ? `until-${last}` : last, lowerId, upperId };
  });
}

/** @throws ArchiveError if an event is not sequenced, or the default partition has an event that is as old */
export async function measureExtent(through: Queryable, { name, lowerId, upperId }: ClosedPartition): Promise<Extent> {
  const [row] = await through.query<
    { events: number; leaves: number; first: number | null; last: number | null; before: number; astray: boolean }[]
  >(
    `SELECT count(*) AS events, count(leaf_index) AS leaves, min(leaf_index) AS first, max(leaf_index) AS last,
            coalesce((SELECT leaf_index FROM audit_leaf WHERE event_id < $1 ORDER BY event_id DESC LIMIT 1), -1) AS before,
            EXISTS (SELECT FROM audit_event_default WHERE id < $2) AS astray
       FROM ${name} AS event LEFT JOIN audit_leaf ON event_id = event.id`,
    [lowerId, upperId],
  );
  const { events, leaves, first, last, before, astray } = row!;
  if (leaves < events) {
    throw new ArchiveError(`${String(events - leaves)} events of ${name} are not sequenced yet: let the service run`);
  }
  if (astray) {
    throw new ArchiveError(
      `audit_event_default has events that are as old as those of ${name}: they must be archived first`,
    );
  }
  return { events, from: first ?? before + 1, to: (last ?? before) + 1 };
}
