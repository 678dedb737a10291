import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { named } from '../database/named-statement.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { firstIdAt, timeOfId } from './event-id.js';
import { CompactRange } from './log/compact-range.js';
import { signCheckpoint } from './log/signed-checkpoint.js';
import { isStoredLevel } from './log/stored-hashes.js';
import { LOG_KEYS, type LogKeys } from './log-keys.js';
import { appendToLog, LogStorage } from './log-storage.js';

interface Unsequenced {
  readonly id: string;
  readonly tx: string;
  readonly leaf_hash: Buffer;
  /** Whether the event still has the hash that was written with it. */
  readonly intact: boolean;
}

/** What a batch did to the log. */
export interface Batch {
  readonly checkpoint: AuditCheckpointEntity;
  /** Ids of events that were changed between their writing and now. */
  readonly altered: readonly string[];
  /** More events wait than one batch takes. */
  readonly more: boolean;
}

const BATCH = 2_000;
/** A checkpoint is signed about every second, by whichever replica comes first. */
const INTERVAL_MS = 900;
/** No transaction of the service is open so long. */
const MARGIN_MS = 120_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

const INTACT = `leaf_hash = sha256('\\x00'::bytea || convert_to(event, 'UTF8')) AS intact`;

/**
 * $1 last tx, $2 last id, $3 limit. A transaction that is still open may commit an event with a lower (tx, id) than one
 * that is visible, so what is at or above the oldest open transaction waits.
 */
const UNSEQUENCED = named<Unsequenced>(
  'audit-unsequenced',
  `SELECT id, tx::text AS tx, leaf_hash, ${INTACT} FROM audit_event e
    WHERE (tx, id) > ($1::xid8, $2::uuid) AND tx < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.tx, id LIMIT $3::integer`,
);

/**
 * The same by time instead of transaction number, for a first look and for a cluster restored from a dump, where
 * transaction numbers began anew. $1 from this id on, $2 limit.
 */
const UNSEQUENCED_SINCE = named<Unsequenced>(
  'audit-unsequenced-since',
  `SELECT id, tx::text AS tx, leaf_hash, ${INTACT} FROM audit_event e
    WHERE id >= $1::uuid AND tx < pg_snapshot_xmin(pg_current_snapshot())
      AND NOT EXISTS (SELECT FROM audit_leaf WHERE event_id = e.id)
    ORDER BY e.tx, id LIMIT $2::integer`,
);

/**
 * Puts the log in order: events are written by any number of transactions at once, and become leaves here, one replica
 * at a time, under an advisory lock that ends with its transaction. A batch is all or nothing: leaves, stored hashes and
 * the signed checkpoint that says how far the order has come. The next batch begins there, in whichever replica; after
 * a crash, too.
 */
@Injectable()
export class Sequencer {
  /** Whether the last sequenced transaction's number is above those that are given out now; undefined: not known yet. */
  private restored: boolean | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    private readonly storage: LogStorage,
  ) {}

  /**
   * @param wait for another replica that is at it, and do not wait for the second to be over
   * @returns undefined when there was nothing to do, or another replica does it
   */
  sequence(wait = false): Promise<Batch | undefined> {
    return this.dataSource.transaction(async (manager) => {
      if (!(await lock(manager, wait))) return undefined;
      const last = await this.storage.latestCheckpoint(manager);
      if (!wait && last && this.isFresh(last)) return undefined;
      const events = await this.unsequenced(manager, last);
      return events.length === 0 ? undefined : this.append(manager, last, events);
    });
  }

  private isFresh({ createdAt }: AuditCheckpointEntity): boolean {
    const age = this.clock.now().getTime() - createdAt.getTime();
    return age >= 0 && age < INTERVAL_MS;
  }

  private async unsequenced(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
  ): Promise<readonly Unsequenced[]> {
    if (!last) return UNSEQUENCED.run(manager, ['0', FIRST_ID, BATCH]);
    const { lastTx, lastId } = last;
    if (this.restored === false) return UNSEQUENCED.run(manager, [lastTx, lastId, BATCH]);
    const [cluster] = await manager.query<{ restored: boolean }[]>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot()) <= $1::xid8 AS restored',
      [lastTx],
    );
    this.restored ||= cluster?.restored ?? false;
    const events = await UNSEQUENCED_SINCE.run(manager, [firstIdAt(timeOfId(lastId) - MARGIN_MS), BATCH]);
    return events.map((event) => (BigInt(event.tx) < BigInt(lastTx) ? { ...event, tx: lastTx } : event));
  }

  private async append(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
    events: readonly Unsequenced[],
  ): Promise<Batch> {
    const firstIndex = last?.size ?? 0;
    const range = last ? CompactRange.parse(0, last.size, last.frontier) : new CompactRange();
    const nodes = { levels: [] as number[], indexes: [] as number[], hashes: [] as Buffer[] };
    for (const { leaf_hash } of events) {
      range.append(leaf_hash, (level, index, hash) => {
        if (!isStoredLevel(level)) return;
        nodes.levels.push(level);
        nodes.indexes.push(index);
        nodes.hashes.push(hash);
      });
    }
    const checkpoint = this.checkpoint(range, events.at(-1)!);
    const leaves = { firstIndex, eventIds: events.map(({ id }) => id), hashes: events.map((event) => event.leaf_hash) };
    await appendToLog(manager, leaves, nodes, checkpoint);
    const altered = events.filter(({ intact }) => !intact).map(({ id }) => id);
    return { checkpoint, altered, more: events.length === BATCH };
  }

  private checkpoint(range: CompactRange, { tx, id }: Unsequenced): AuditCheckpointEntity {
    const { origin, signers } = this.keys;
    const [size, root, createdAt] = [range.end, range.root(), this.clock.now()];
    const note = signCheckpoint({ origin, size, root, extensions: [] }, signers, createdAt);
    return { size, root, frontier: range.serialise(), lastTx: tx, lastId: id, note, createdAt };
  }
}

async function lock(manager: EntityManager, wait: boolean): Promise<boolean> {
  const [row] = await manager.query<{ locked: boolean | string }[]>(
    `SELECT ${wait ? 'pg_advisory_xact_lock' : 'pg_try_advisory_xact_lock'}(hashtextextended('passkey-manager sequencer', 0)) AS locked`,
  );
  return row?.locked !== false;
}
