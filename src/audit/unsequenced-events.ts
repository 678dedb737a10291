import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { named, type Queryable } from '../database/named-statement.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { firstIdAt, timeOfId } from './event-id.js';

export interface Unsequenced {
  readonly id: string;
  readonly tx: string;
  readonly leaf_hash: Buffer;
  /** Whether the event still has the hash that was written with it. */
  readonly intact: boolean;
}

/** Events in the order in which they become leaves. */
export interface Waiting {
  readonly events: readonly Unsequenced[];
  /** Remembers what was seen; for when those events have their places, durably. */
  readonly sequenced: () => void;
}

/** How many events are sequenced at a time. */
export const BATCH = 2_000;
/** How many events a first look has in hand at a time: it takes turns with what is new, and no turn takes long. */
const PART = 50_000;
/** By how much an event may be older than one that was sequenced before it, for a first look. */
const MARGIN_MS = 600_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * The oldest transaction that is open and may be one of this database. Numbers are the whole cluster's: one that a
 * session holds which is connected to another database writes no event here. One that ends while this is asked for
 * counts as open.
 */
const OLDEST_OPEN = `(SELECT coalesce((
    SELECT open FROM pg_snapshot_xip(snapshot) AS open
     WHERE NOT EXISTS (
       SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'transactionid' AND granted AND mode = 'ExclusiveLock'
          AND transactionid::text::numeric = open::text::numeric % 4294967296
          AND datid <> (SELECT oid FROM pg_database WHERE datname = current_database()))
     ORDER BY open LIMIT 1), pg_snapshot_xmax(snapshot))
  FROM pg_current_snapshot() AS snapshot)`;
/**
 * A transaction that is still open may commit an event with a lower (tx, id) than one that is visible, so what is at or
 * above the oldest open transaction waits. A number that was not given out yet is from another cluster, and committed.
 */
const SETTLED = `(tx < ${OLDEST_OPEN} OR tx >= (SELECT pg_snapshot_xmax(pg_current_snapshot())))`;
/** Not as an anti-join: a plan that reads all of the leaves for it would be a slow one. */
const NO_LEAF = '(SELECT leaf_index FROM audit_leaf WHERE event_id = e.id) IS NULL';
const IN_ORDER = `ORDER BY e.tx, e.id LIMIT ${String(BATCH)}`;
const EVENT_HASH = `sha256('\\x00'::bytea || convert_to(event, 'UTF8'))`;
/** What is no hash cannot be a leaf. */
const SELECT = `SELECT id, tx::text AS tx, leaf_hash = ${EVENT_HASH} AS intact,
    CASE WHEN octet_length(leaf_hash) = 32 THEN leaf_hash ELSE ${EVENT_HASH} END AS leaf_hash
  FROM audit_event e`;

/** $1 last tx, $2 last id */
const AFTER = named<Unsequenced>(
  'audit-unsequenced-after',
  `${SELECT} WHERE (tx, id) > ($1::xid8, $2::uuid) AND ${SETTLED} AND ${NO_LEAF} ${IN_ORDER}`,
);
/** What an order by transaction number would pass over. $1 and $2: ids from, to; $3 last tx, $4 last id */
const BEFORE = named<Unsequenced>(
  'audit-unsequenced-before',
  `${SELECT} WHERE id >= $1::uuid AND id <= $2::uuid AND (tx, id) <= ($3::xid8, $4::uuid) AND ${SETTLED} AND ${NO_LEAF}
    ${IN_ORDER}`,
);
/** $1 and $2: ids from, to. The id at which the next part begins; no row: there is none. */
const NEXT_PART = named<{ readonly id: string }>(
  'audit-unsequenced-part',
  `SELECT id FROM audit_event WHERE id >= $1::uuid AND id <= $2::uuid ORDER BY id LIMIT 1 OFFSET ${String(PART)}`,
);
/** $1 from this transaction number */
const FROM = named<Unsequenced>(
  'audit-unsequenced-from',
  `${SELECT} WHERE tx >= $1::xid8 AND tx < ${OLDEST_OPEN} AND ${NO_LEAF}
    ${IN_ORDER}`,
);

/** What is left of a first look: ids from, to. */
interface FirstLook {
  readonly from: string;
  readonly to: string;
  /** The oldest transaction that was open when it began: what began later, it may have missed. */
  readonly xmin: string;
}

/**
 * Finds what has no place in the log yet: what was written by later transactions than the last one that was sequenced.
 *
 * In a cluster that was restored from a dump transaction numbers begin anew, below those in the log. There the process
 * keeps in mind up to which number everything has its place. Its first look, which in any cluster makes sure that nothing
 * was passed over, goes by the time of the events, in parts.
 */
@Injectable()
export class UnsequencedEvents {
  private looked = false;
  private left: FirstLook | undefined;
  private restored = false;
  /** In a restored cluster, after the first look: what is below has its place. */
  private settled = '0';

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** A batch at most. */
  async after(last: AuditCheckpointEntity | undefined, through: Queryable): Promise<Waiting> {
    if (!last) return { events: await AFTER.run(through, ['0', FIRST_ID]), sequenced: () => undefined };
    const { xmin, restored } = await horizon(through, last.lastTx);
    if (restored && !this.restored) [this.restored, this.looked, this.left] = [true, false, undefined];
    const look = this.looked ? undefined : (this.left ?? this.firstLook(last, xmin));
    const part = look && (await lookInto(look, last, through));
    const next =
      this.looked && this.restored
        ? await FROM.run(through, [this.settled])
        : await AFTER.run(through, [last.lastTx, last.lastId]);
    const events = [...(part?.passedOver ?? []), ...next].slice(0, BATCH);
    const sequenced = (): void => {
      if (events.length === BATCH) return;
      this.left = part?.left;
      if (!this.left) [this.looked, this.settled] = [true, look?.xmin ?? xmin];
    };
    // The order of a restored cluster goes on from the number that the old one had come to.
    const { lastTx } = last;
    const order = events.map((event) => (BigInt(event.tx) < BigInt(lastTx) ? { ...event, tx: lastTx } : event));
    return { events: order, sequenced };
  }

  /** The first one, whether or not its turn has come; undefined: none waits. */
  async oldest(last: AuditCheckpointEntity | undefined): Promise<string | undefined> {
    const { lastTx = '0', lastId = FIRST_ID } = last ?? {};
    const [row] = await this.dataSource.query<{ id: string }[]>(
      `SELECT id FROM audit_event e WHERE (tx, id) > ($1::xid8, $2::uuid) AND ${NO_LEAF} ORDER BY e.tx, e.id LIMIT 1`,
      this.restored && this.looked ? [this.settled, FIRST_ID] : [lastTx, lastId],
    );
    return row?.id;
  }

  private firstLook({ lastId }: AuditCheckpointEntity, xmin: string): FirstLook {
    const time = timeOfId(lastId);
    return {
      from: firstIdAt(time - MARGIN_MS),
      to: this.restored ? LAST_ID : firstIdAt(time + MARGIN_MS),
      xmin,
    };
  }
}

/** @returns what was passed over in the next part of a first look, and what is left of it then; undefined: nothing */
async function lookInto(
  look: FirstLook,
  { lastTx, lastId }: AuditCheckpointEntity,
  through: Queryable,
): Promise<{ passedOver: Unsequenced[]; left: FirstLook | undefined }> {
  const [next] = await NEXT_PART.run(through, [look.from, look.to]);
  const passedOver = await BEFORE.run(through, [look.from, next?.id ?? look.to, lastTx, lastId]);
  return { passedOver, left: next && { ...look, from: next.id } };
}

/** Whether the last sequenced transaction's number is one that was not given out yet. */
async function horizon(through: Queryable, lastTx: string): Promise<{ xmin: string; restored: boolean }> {
  const [row] = await through.query<{ xmin: string; restored: boolean }[]>(
    `SELECT pg_snapshot_xmin(snapshot)::text AS xmin, pg_snapshot_xmax(snapshot) <= $1::xid8 AS restored
       FROM pg_current_snapshot() AS snapshot`,
    [lastTx],
  );
  return row!;
}
