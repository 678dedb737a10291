import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { leafHashSql } from '../audit/audit-event.repository.js';
import { nameStatement } from '../database/named-statement.js';
import { hasNoLeafSql } from './log.repository.js';

/** An event that is about to become a leaf. */
export interface PendingEvent {
  readonly id: string;
  readonly leaf_hash: Buffer;
  /** True if the event still has the hash that was written with it. */
  readonly intact: boolean;
}

/** Events in the order in which they become leaves. */
export interface TakenEvents {
  readonly events: readonly PendingEvent[];
  /** True if more events are pending than one batch takes. */
  readonly more: boolean;
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

/**
 * $1: the ctid to begin at. An event that already has a leaf gets no other, and an event with two rows becomes one leaf.
 */
const TAKE_BATCH = nameStatement<PendingEvent & { readonly taken: number }>(
  'audit-pending-take',
  `WITH taken AS (
     DELETE FROM audit_pending WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit_pending WHERE ctid >= $1::tid LIMIT ${String(BATCH)}))
     RETURNING event_id, leaf_hash)
   SELECT DISTINCT ON (event_id) event_id AS id, taken.leaf_hash,
          coalesce(taken.leaf_hash = e.leaf_hash AND taken.leaf_hash = ${leafHashSql('event')}, FALSE) AS intact,
          (SELECT count(*)::integer FROM taken) AS taken
     FROM taken LEFT JOIN audit_event e ON e.id = event_id
    WHERE ${hasNoLeafSql('taken.event_id')}
    ORDER BY event_id, intact DESC`,
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

  /** Takes a batch at most. The events stop being pending when the transaction commits. */
  async take(manager: EntityManager): Promise<TakenEvents> {
    const events = await TAKE_BATCH.run(manager, [toCtid(this.page)]);
    return { events, more: events[0]?.taken === BATCH };
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
