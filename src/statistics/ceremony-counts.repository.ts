import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { parseIdTime, toFirstId } from '../audit/audit-event.repository.js';
import { Problem } from '../http/problem.js';
import { nameStatement } from '../database/named-statement.js';

export const HOUR_MS = 3_600_000;
/** The most leaves that one statement counts. */
export const LEAVES = 2_000;
/** How much of a log is counted that was there before the counts. */
const COUNTED_BEFORE_MS = 31 * 24 * HOUR_MS;
/** The order of the log and that of the times of its events may differ by less than this many hours. */
const DISORDER_HOURS = 2;
/** How long counts are kept. */
const KEPT_HOURS = 400 * 24;

/** The type of the event of a ceremony's outcome, and the name of the ceremony. */
const CEREMONIES = [
  ['credential.register', 'registration'],
  ['credential.verify', 'authentication'],
  ['confirmation.verify', 'confirmation'],
  ['payment.verify', 'payment'],
] as const;
const CEREMONY_SQL = `CASE type ${CEREMONIES.map(([type, name]) => `WHEN '${type}' THEN '${name}'`).join(' ')} END`;
const SUMMARY = `type = 'challenge.summary'`;

/** SQL: a member of the text of an event. Canonical JSON has such a text only as a member, so no text of a caller looks like one. */
const memberSql = (pattern: string): string => `substring(event FROM '${pattern}')`;

/** What the counts of an hour are about: challenges that were issued, those that were answered, and the outcomes of answers. */
type CountKind = 'begun' | 'answered' | 'success' | 'failure';

export interface HourCount {
  /** Hours since 1970. */
  readonly hour: number;
  readonly ceremony: string;
  readonly kind: CountKind;
  /** The reason of a failure, and else empty. */
  readonly reason: string;
  readonly count: number;
}

/** The driver returns a time without a value as a number. */
type Stored<Row> = { readonly [name in keyof Row]: Row[name] extends Date | null ? Date | number | null : Row[name] };

/** What a turn came to: all leaves are counted, there may be more, or another replica counts. */
export type CountTurn = 'all' | 'more' | 'taken';

/** How much of the log is counted. */
export interface CountedLog {
  /** The time of the last event that is counted; null: none is. */
  readonly countedAt: Date | null;
  /** The first hour that is counted whole, since 1970; null: all are. */
  readonly since: number | null;
  /** True if the log has leaves that are not counted. */
  readonly isBehind: boolean;
  /** True if events are pending. */
  readonly isPending: boolean;
  /** The time of the newest checkpoint; null: there is none. */
  readonly signedAt: Date | null;
}

/**
 * SQL: counts up to LEAVES leaves from $1 on. The time of an event is that of its id. An event that is archived, or that is of no
 * relying party, is counted nowhere.
 */
const COUNT_LEAVES = nameStatement<{ leaves: number; last: number | null; event: string | null }>(
  'statistics-count-leaves',
  `WITH leaves AS MATERIALIZED (
     SELECT leaf_index, event_id FROM audit_leaf WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT ${String(LEAVES)}),
   found AS MATERIALIZED (
     SELECT e.rp_id, e.type, e.outcome, e.event, ('x' || left(replace(e.id::text, '-', ''), 12))::bit(48)::bigint / ${String(HOUR_MS)} AS hour
       FROM leaves, LATERAL (SELECT * FROM audit_event WHERE id = leaves.event_id OFFSET 0) AS e
      WHERE e.rp_id IS NOT NULL AND (${SUMMARY} OR ${CEREMONY_SQL} IS NOT NULL)),
   counted AS (
     SELECT rp_id, hour, ${CEREMONY_SQL} AS ceremony, outcome AS kind,
            CASE outcome WHEN 'failure' THEN coalesce(${memberSql('"status_code":"([a-z0-9-]{1,64})"')}, '') ELSE '' END AS reason, 1 AS count
       FROM found WHERE NOT (${SUMMARY})
     UNION ALL
     SELECT rp_id, hour, ${memberSql('"ceremony":"([a-z]{1,32})"')}, kind, '', count::bigint
       FROM found, LATERAL (VALUES ('begun', ${memberSql('"issued":([0-9]{1,12})')}), ('answered', ${memberSql('"answered":([0-9]{1,12})')})) AS told (kind, count)
      WHERE ${SUMMARY}),
   stored AS (
     INSERT INTO statistic_ceremony AS s (rp_id, hour, ceremony, kind, reason, count)
     SELECT rp_id, hour, ceremony, kind, reason, sum(count) FROM counted
      WHERE ceremony IS NOT NULL AND count > 0 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
     ON CONFLICT (rp_id, hour, ceremony, kind, reason) DO UPDATE SET count = s.count + excluded.count)
   SELECT count(*)::integer AS leaves, max(leaf_index) AS last, (SELECT event_id FROM leaves ORDER BY leaf_index DESC LIMIT 1) AS event
     FROM leaves`,
);

/** SQL: the first leaf with an event after $1, and the first of the log. */
const FIND_FIRST = `
  SELECT (SELECT min(leaf_index) FROM audit_leaf) AS oldest, (SELECT max(leaf_index) FROM audit_leaf) AS newest,
         (SELECT min(leaf_index) FROM (SELECT leaf_index FROM audit_leaf WHERE event_id >= $1 ORDER BY event_id LIMIT 1000) AS near) AS near`;

const READ_LOG = nameStatement<Stored<CountedLog>>(
  'statistics-read-log',
  `SELECT counted_at AS "countedAt", since, EXISTS (SELECT FROM audit_leaf WHERE leaf_index >= coalesce(next_leaf, 0)) AS "isBehind",
          EXISTS (SELECT FROM audit_pending) AS "isPending",
          (SELECT created_at FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS "signedAt" FROM statistic_log`,
);

const READ_HOURS = nameStatement<HourCount>(
  'statistics-read-hours',
  `SELECT hour, ceremony, kind, reason, count FROM statistic_ceremony WHERE rp_id = $1 AND hour >= $2 AND hour < $3
    ORDER BY hour, ceremony, kind, reason`,
);

/** Counts the ceremonies in the log by hour, each leaf once: the counts and the place in the log commit together. */
@Injectable()
export class CeremonyCountsRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  async readLog(): Promise<CountedLog> {
    const [log] = await READ_LOG.run(this.dataSource, []);
    if (!log) throw new Problem('unavailable', { detail: 'the table statistic_log has lost its row', retryAfter: 60 });
    return { ...log, countedAt: toTime(log.countedAt), signedAt: toTime(log.signedAt) };
  }

  /** @param from @param to hours since 1970: [from, to) */
  readHours(rpId: string, from: number, to: number): Promise<HourCount[]> {
    return READ_HOURS.run(this.dataSource, [rpId, from, to]);
  }

  /** Counts the next leaves. */
  count(now: Date): Promise<CountTurn> {
    return this.dataSource.transaction('READ COMMITTED', async (manager) => {
      const [turn] = await manager.query<{ next_leaf: number | null }[]>(
        'SELECT next_leaf FROM statistic_log FOR UPDATE SKIP LOCKED',
      );
      if (!turn) return 'taken';
      const next = turn.next_leaf ?? (await this.begin(manager, now));
      const [counted] = await COUNT_LEAVES.run(manager, [next]);
      const { leaves, last, event } = counted!;
      if (last === null) return 'all';
      await manager.query('UPDATE statistic_log SET next_leaf = $1, counted_at = $2', [
        last + 1,
        new Date(parseIdTime(event!)),
      ]);
      return leaves === LEAVES ? 'more' : 'all';
    });
  }

  /** Forgets the hours that are too old. */
  async purge(now: Date): Promise<void> {
    const oldest = Math.floor(now.getTime() / HOUR_MS) - KEPT_HOURS;
    await this.dataSource.query('DELETE FROM statistic_ceremony WHERE hour < $1', [oldest]);
    await this.dataSource.query('UPDATE statistic_log SET since = $1 WHERE since < $1', [oldest]);
  }

  /** @returns the first leaf that is counted, of a log that was there before */
  private async begin(manager: EntityManager, now: Date): Promise<number> {
    const from = now.getTime() - COUNTED_BEFORE_MS;
    const [found] = await manager.query<[{ oldest: number | null; newest: number | null; near: number | null }]>(
      FIND_FIRST,
      [toFirstId(from)],
    );
    const { oldest, newest, near } = found;
    const first = near ?? (newest === null ? 0 : newest + 1);
    const isWhole = oldest === null || first <= oldest;
    const since = isWhole ? null : Math.ceil(from / HOUR_MS) + DISORDER_HOURS;
    await manager.query('UPDATE statistic_log SET next_leaf = $1, since = $2', [first, since]);
    return first;
  }
}

/** SQL may have stored a time without a value, such as `infinity`. */
function toTime(time: Date | number | null): Date | null {
  return time instanceof Date && Number.isFinite(time.getTime()) ? time : null;
}
