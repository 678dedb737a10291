import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { nameStatement } from '../database/named-statement.js';
import { toFirstId } from '../audit/event-id.js';
import { LogFailures } from './log-failures.js';
import { takeTurn } from './log-turn.js';
import { BATCH, EVENT_HASH_SQL, hasNoLeafSql } from './pending-events.js';

/** Events per step, and the time between steps: the check compares at most one event per millisecond with its leaf. */
const PORTION = 1_000;
const INTERVAL_MS = 1_000;
/** Time between two passes through the whole log. */
const PAUSE_MS = 86_400_000;
/**
 * Replicas of the previous version write events without a row in `audit_pending`, so the check looks at each event
 * once, when it has this age.
 */
const RECENT_AGE_MS = 5_000;
/** Age of the oldest event that the first check of recent events looks at. */
const RECENT_MS = 20_000;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** Maximum number of altered events that a record names. */
const MAX_NAMED = 100;

interface Portion {
  /** Id of the oldest event in this step; null if there was none. */
  readonly last: string | null;
  /** Ids of events whose leaf has another hash or is not covered by the latest checkpoint. */
  readonly altered: string[];
  /** Ids of events that are neither sequenced nor pending. */
  readonly placeless: string[];
}

/** $1: the step takes events with lower ids, newest first. */
const CHECK_PORTION = nameStatement<Portion>(
  'audit-check-portion',
  `WITH portion AS MATERIALIZED (
     SELECT id, event FROM audit_event WHERE id < $1::uuid ORDER BY id DESC LIMIT ${String(PORTION)}),
   held AS MATERIALIZED (
     SELECT id, leaf_index IS NULL AS placeless, leaf_hash = ${EVENT_HASH_SQL} AND leaf_index >= 0
              AND leaf_index < (SELECT size FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS holds
       FROM portion
       LEFT JOIN LATERAL (SELECT leaf_index, leaf_hash FROM audit_leaf WHERE event_id = id OFFSET 0) AS leaf ON TRUE)
   SELECT (SELECT id FROM portion ORDER BY id LIMIT 1) AS last,
          ARRAY(SELECT id FROM held WHERE NOT holds) AS altered,
          ARRAY(SELECT id FROM held WHERE placeless EXCEPT SELECT event_id FROM audit_pending) AS placeless`,
);

/** Ids from $1 (inclusive) to $2 (exclusive). */
const FIND_RECENT = nameStatement<{ readonly id: string }>(
  'audit-check-recent',
  `WITH placeless AS MATERIALIZED (
     SELECT id FROM audit_event WHERE id >= $1::uuid AND id < $2::uuid AND ${hasNoLeafSql('id')} LIMIT ${String(BATCH)})
   SELECT id FROM placeless EXCEPT SELECT event_id FROM audit_pending`,
);

/** $1: event ids. A stored hash of another length cannot be a leaf hash, so the event is hashed again. */
const ADOPT = nameStatement<{ readonly event_id: string }>(
  'audit-check-adopt',
  `INSERT INTO audit_pending (event_id, leaf_hash)
   SELECT id, CASE WHEN octet_length(leaf_hash) = 32 THEN leaf_hash ELSE ${EVENT_HASH_SQL} END
     FROM (SELECT unnest($1::uuid[]) AS id EXCEPT SELECT event_id FROM audit_pending) AS placeless
     JOIN audit_event USING (id)
    WHERE ${hasNoLeafSql('id')}
   RETURNING event_id`,
);

/**
 * Compares the events in the database with the log, in every replica: step by step from the newest to the oldest, at
 * the start of the process and then once a day. Each event must be sequenced or pending. An event that is neither
 * becomes pending, whatever its age.
 */
@Injectable()
export class LogCheck {
  private readonly logger = new Logger(LogCheck.name);
  private next = LAST_ID;
  private dueAt = -Infinity;
  /** Events before this time were checked, in milliseconds; undefined before the first check. */
  private recentUntil: number | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
  ) {}

  /** Runs the checks that are due. */
  async run(): Promise<void> {
    const now = this.clock.now().getTime();
    await this.checkRecent(now - RECENT_AGE_MS);
    if (now < this.dueAt && this.dueAt - now <= PAUSE_MS) return;
    await this.checkPortion(now);
  }

  /**
   * Checks the events that have reached RECENT_AGE_MS since the last call. It starts over after the clock went back.
   */
  private async checkRecent(until: number): Promise<void> {
    const { recentUntil = Infinity } = this;
    const from = recentUntil <= until ? recentUntil : until + RECENT_AGE_MS - RECENT_MS;
    const placeless = await FIND_RECENT.run(this.dataSource, [toFirstId(from), toFirstId(until)]);
    await this.adopt(placeless.map(({ id }) => id));
    this.recentUntil = placeless.length < BATCH ? until : from;
  }

  private async checkPortion(now: number): Promise<void> {
    const { last, altered, placeless } = (await CHECK_PORTION.run(this.dataSource, [this.next]))[0]!;
    if (altered.length > 0) {
      this.failures.reportIncident('event-altered', { count: altered.length, events: altered.slice(0, MAX_NAMED) });
    }
    await this.adopt(placeless);
    this.next = last ?? LAST_ID;
    this.dueAt = now + (last === null ? PAUSE_MS : INTERVAL_MS);
  }

  /**
   * Makes events pending. It takes the turn, so that no replica sequences them meanwhile. If it does not get the turn,
   * the next check finds the events again.
   */
  private async adopt(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const adopted = await this.dataSource.transaction('READ COMMITTED', async (manager) =>
      (await takeTurn(manager, true, 'TRUE')) ? ADOPT.run(manager, [ids]) : [],
    );
    if (adopted.length === 0) return;
    const events = adopted.slice(0, MAX_NAMED).map(({ event_id }) => event_id);
    this.logger.warn({
      message: 'events were neither sequenced nor pending and are pending now',
      count: adopted.length,
      events,
    });
  }
}
