import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { named } from '../database/named-statement.js';
import { firstIdAt } from './event-id.js';
import { LogFailures } from './log-failures.js';
import { takeTurn } from './log-turn.js';
import { BATCH, EVENT_HASH, hasNoLeaf } from './pending-events.js';

/** The check compares so many events with their leaves at a time, and so often: at most one event a millisecond. */
const PORTION = 1_000;
const INTERVAL_MS = 1_000;
/** The time between two passes through the whole log. */
const PAUSE_MS = 86_400_000;
/** Replicas of the version before write events that do not wait in `audit_pending`: the check looks at each event once, at this age. */
const RECENT_AGE_MS = 5_000;
/** The age of the oldest event that the first look is for. */
const RECENT_MS = 20_000;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** A record names so many altered events at most. */
const MAX_NAMED = 100;

interface Portion {
  /** The oldest event that was looked at; null: there was none. */
  readonly last: string | null;
  /** Events whose leaf has another hash, or has no place in the log. */
  readonly altered: string[];
  /** Events that neither have a leaf nor wait for one. */
  readonly placeless: string[];
}

/** $1: events with a lower id, the newest first */
const HOLD = named<Portion>(
  'audit-check-portion',
  `WITH portion AS MATERIALIZED (
     SELECT id, event FROM audit_event WHERE id < $1::uuid ORDER BY id DESC LIMIT ${String(PORTION)}),
   held AS MATERIALIZED (
     SELECT id, leaf_index IS NULL AS placeless, leaf_hash = ${EVENT_HASH} AND leaf_index >= 0
              AND leaf_index < (SELECT size FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS holds
       FROM portion
       LEFT JOIN LATERAL (SELECT leaf_index, leaf_hash FROM audit_leaf WHERE event_id = id OFFSET 0) AS leaf ON TRUE)
   SELECT (SELECT id FROM portion ORDER BY id LIMIT 1) AS last,
          ARRAY(SELECT id FROM held WHERE NOT holds) AS altered,
          ARRAY(SELECT id FROM held WHERE placeless EXCEPT SELECT event_id FROM audit_pending) AS placeless`,
);

/** $1: from this id on, $2: and before this one */
const RECENT = named<{ readonly id: string }>(
  'audit-check-recent',
  `WITH placeless AS MATERIALIZED (
     SELECT id FROM audit_event WHERE id >= $1::uuid AND id < $2::uuid AND ${hasNoLeaf('id')} LIMIT ${String(BATCH)})
   SELECT id FROM placeless EXCEPT SELECT event_id FROM audit_pending`,
);

/** $1 ids. A leaf hash of another length cannot be a leaf, so the event is hashed anew. */
const ADOPT = named<{ readonly event_id: string }>(
  'audit-check-adopt',
  `INSERT INTO audit_pending (event_id, leaf_hash)
   SELECT id, CASE WHEN octet_length(leaf_hash) = 32 THEN leaf_hash ELSE ${EVENT_HASH} END
     FROM (SELECT unnest($1::uuid[]) AS id EXCEPT SELECT event_id FROM audit_pending) AS placeless
     JOIN audit_event USING (id)
    WHERE ${hasNoLeaf('id')}
   RETURNING event_id`,
);

/**
 * Holds the events that are in the database against the log, in every replica: from the newest to the oldest, part by
 * part, from the start of the process and then once a day. Each must have its leaf, or wait for it. An event that does
 * neither is made to wait, at any age.
 */
@Injectable()
export class LogCheck {
  private readonly logger = new Logger(LogCheck.name);
  private next = LAST_ID;
  private dueAt = -Infinity;
  /** Events before it have been looked at; undefined: none yet. */
  private recentUntil: number | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
  ) {}

  /** Does the looks that are due. */
  async run(): Promise<void> {
    const now = this.clock.now().getTime();
    await this.recent(now - RECENT_AGE_MS);
    if (now < this.dueAt && this.dueAt - now <= PAUSE_MS) return;
    await this.portion(now);
  }

  /** After the clock went back it begins anew. */
  private async recent(until: number): Promise<void> {
    const { recentUntil = Infinity } = this;
    const from = recentUntil <= until ? recentUntil : until + RECENT_AGE_MS - RECENT_MS;
    const placeless = await RECENT.run(this.dataSource, [firstIdAt(from), firstIdAt(until)]);
    await this.adopt(placeless.map(({ id }) => id));
    this.recentUntil = placeless.length < BATCH ? until : from;
  }

  private async portion(now: number): Promise<void> {
    const { last, altered, placeless } = (await HOLD.run(this.dataSource, [this.next]))[0]!;
    if (altered.length > 0) {
      this.failures.happened('event-altered', { count: altered.length, events: altered.slice(0, MAX_NAMED) });
    }
    await this.adopt(placeless);
    this.next = last ?? LAST_ID;
    this.dueAt = now + (last === null ? PAUSE_MS : INTERVAL_MS);
  }

  /** Takes the turn, which keeps others from giving them a place; when another replica has it, the next look finds them. */
  private async adopt(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const adopted = await this.dataSource.transaction('READ COMMITTED', async (manager) =>
      (await takeTurn(manager, true, 'TRUE')) ? ADOPT.run(manager, [ids]) : [],
    );
    if (adopted.length === 0) return;
    const events = adopted.slice(0, MAX_NAMED).map(({ event_id }) => event_id);
    this.logger.warn({ message: 'events had no place in the log and wait for one now', count: adopted.length, events });
  }
}
