import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import {
  createAuditRow,
  INSERT_EVENT_OF_OWNER,
  parseIdTime,
  toFirstId,
} from '../../src/audit/audit-event.repository.js';
import type { Queryable } from '../../src/database/named-statement.js';
import type { LeafRange } from '../../src/audit-log/log.repository.js';

/** Says why archiving stops. What was archived before stays archived. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

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
    throw new ArchiveError(
      `${String(events - leaves)} events of ${name} are not sequenced yet: let the service run. If it has reported them as event-unsealed, they never will be: see docs/runbook.md`,
    );
  }
  if (astray) {
    throw new ArchiveError(
      `audit_event_default has events that are as old as those of ${name}: they must be archived first`,
    );
  }
  return { events, from: first ?? before + 1, to: (last ?? before) + 1 };
}

/** A partition whose events are in a verified file. */
export interface ArchivedPartition {
  readonly partition: ClosedPartition;
  readonly extent: Extent;
  /** Name of the file, without its directory. */
  readonly file: string;
  readonly digest: Buffer;
  /** Number of leaves in the tree that the file is proved against. */
  readonly treeSize: number;
}

/** Shorter than the service waits for a lock, so that nothing that queues behind this lock fails. */
const LOCK_TIMEOUT = '500ms';
const PAUSE_MS = 1_000;
const ATTEMPTS = 60;
/** PostgreSQL: lock_not_available, deadlock_detected. */
const BUSY: ReadonlySet<string | undefined> = new Set(['55P03', '40P01']);

/**
 * Drops an archived partition and records that, in one transaction that takes seconds at most. It gives way to every
 * other session and tries again.
 *
 * @throws ArchiveError if the partition is not what was archived, or other sessions keep the log locked
 */
export async function dropArchived(
  dataSource: DataSource,
  archived: ArchivedPartition,
  now: () => Date,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await dataSource.transaction((manager) => dropPartition(manager, archived, now()));
      return;
    } catch (error) {
      if (!BUSY.has((error as { code?: string }).code)) throw error;
      if (attempt === ATTEMPTS)
        throw new ArchiveError('other sessions keep audit_event locked: end their long queries');
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  }
}

async function dropPartition(manager: EntityManager, archived: ArchivedPartition, now: Date): Promise<void> {
  const { partition, extent, digest } = archived;
  const { name, lowerId, upperId } = partition;
  await manager.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  // This lock keeps writers out of the month.
  await manager.query(`LOCK TABLE ${name} IN SHARE MODE`);
  const { from, to, events } = await measureExtent(manager, partition);
  if (from !== extent.from || to !== extent.to || events !== extent.events) {
    throw new ArchiveError(`${name} was written to while it was archived: move the file away and start again`);
  }
  await manager.query(`ALTER TABLE audit_event DETACH PARTITION ${name}`);
  await manager.query(`DROP TABLE ${name}`);
  await manager.query(
    `INSERT INTO audit_archive (partition, lower_id, upper_id, from_leaf, to_leaf, events, digest, archived_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [name, lowerId, upperId, from, to, events, digest, now],
  );
  await INSERT_EVENT_OF_OWNER.run(manager, buildArchiveEvent(archived, now));
}

function buildArchiveEvent(
  { partition, extent, file, digest, treeSize }: ArchivedPartition,
  now: Date,
): readonly unknown[] {
  const facts = {
    partition: partition.name,
    events: extent.events,
    leaves: { from: extent.from, to: extent.to },
    file,
    sha256: digest.toString('hex'),
    tree_size: treeSize,
  };
  return createAuditRow({ type: 'audit.archive', outcome: 'success', facts }, null, now).values;
}
