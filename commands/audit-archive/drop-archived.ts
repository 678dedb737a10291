import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { insertEventSql, createAuditRow } from '../../src/audit/audit-row.js';
import { ArchiveError } from './archive-error.js';
import { type ClosedPartition, type Extent, measureExtent } from './closed-partitions.js';

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
  await manager.query(insertEventSql(1), buildArchiveEvent(archived, now));
}

function buildArchiveEvent({ partition, extent, file, digest, treeSize }: ArchivedPartition, now: Date): unknown[] {
  const facts = {
    ...{ partition: partition.name, events: extent.events, leaves: { from: extent.from, to: extent.to } },
    ...{ file, sha256: digest.toString('hex'), tree_size: treeSize },
  };
  return [...createAuditRow({ type: 'audit.archive', outcome: 'success', facts }, null, now).values];
}
