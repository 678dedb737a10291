import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { leafHashSql } from '../audit/audit-event.repository.js';
import { nameStatement } from '../database/named-statement.js';
import { hasNoLeafSql } from './log.repository.js';

/** A row of `audit_pending` that a batch takes, with what is known about its event. */
export interface TakenRow {
  readonly id: string;
  readonly leaf_hash: Buffer;
  /** The MAC over the id and the leaf hash; null: there is none. */
  readonly mac: Buffer | null;
  /** True if the event still has the hash that was written with it. */
  readonly intact: boolean;
  /** False if the event has its leaf already. */
  readonly placeless: boolean;
  /** What the owner of the tables wrote as its own event; null: the row is not marked so. */
  readonly of_owner: { readonly type: string; readonly event: string } | null;
}

/** Maximum number of events in a batch. */
export const BATCH = 2_000;

/**
 * Dead rows stay while any session keeps an old snapshot, and reading past a million of them takes 30 ms. Once the
 * table has more than this many pages, reads from its beginning take at most a tenth of the time, and the reads between
 * them begin at the page of the first row.
 */
const MANY_PAGES = 8_192;
const PART_OF_TIME = 10;

/** $1: the ctid to begin at. */
const TAKE_BATCH = nameStatement<TakenRow>(
  'audit-pending-take',
  `WITH taken AS (
     DELETE FROM audit_pending WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit_pending WHERE ctid >= $1::tid LIMIT ${String(BATCH)}))
     RETURNING event_id, leaf_hash, mac, by_owner)
   SELECT event_id AS id, taken.leaf_hash, mac, ${hasNoLeafSql('taken.event_id')} AS placeless,
          coalesce(taken.leaf_hash = e.leaf_hash AND taken.leaf_hash = ${leafHashSql('event')}, FALSE) AS intact,
          CASE WHEN by_owner THEN json_build_object('type', type, 'event', event) END AS of_owner
     FROM taken LEFT JOIN audit_event e ON e.id = event_id`,
);

/** $1: the ctid to begin at. */
const FIND_FIRST = nameStatement<{ readonly oldest: string | null; readonly page: number; readonly pages: number }>(
  'audit-pending-first',
  `SELECT min(event_id::text COLLATE "C") AS oldest, pages,
          coalesce((min(pending.ctid)::text::point)[0]::integer, greatest(pages - 1, 0)) AS page
     FROM (SELECT (pg_relation_size('audit_pending') / current_setting('block_size')::integer)::integer AS pages) AS size
     LEFT JOIN audit_pending AS pending ON pending.ctid >= $1::tid
    GROUP BY pages`,
);

/** The pending events: those that are committed to `audit_pending`, whenever their transactions began. */
@Injectable()
export class PendingEventsRepository {
  /** Page of the first row at the last read, at which the next reads begin; 0 while the table is small. */
  private page = 0;
  private wholeAgainAt = 0;

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** SQL: true if an event is pending. */
  get existSql(): string {
    return `EXISTS (SELECT FROM audit_pending WHERE ctid >= '${toCtid(this.page)}'::tid)`;
  }

  /** Takes a batch at most. The rows are gone when the transaction commits, whatever becomes of their events. */
  take(manager: EntityManager): Promise<TakenRow[]> {
    return TAKE_BATCH.run(manager, [toCtid(this.page)]);
  }

  /** Returns the id of the oldest pending event, or undefined if none is pending. */
  async findOldest(): Promise<string | undefined> {
    const began = performance.now();
    const whole = this.page === 0 || began >= this.wholeAgainAt;
    const [first] = await FIND_FIRST.run(this.dataSource, [toCtid(whole ? 0 : this.page)]);
    const { oldest, page, pages } = first!;
    this.page = pages > MANY_PAGES ? page : 0;
    if (whole) this.wholeAgainAt = performance.now() + PART_OF_TIME * (performance.now() - began);
    return oldest ?? undefined;
  }
}

function toCtid(page: number): string {
  return `(${String(page)},0)`;
}
