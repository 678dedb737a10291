import pg from 'pg';
import { adaptPool, type Queryable } from '../../src/database/named-statement.js';
import type { TestDataSource } from './test-data-source.js';
import { until } from './until.js';

const APPLICATION = 'statement race';

/** How all statements of a race are held up: one transaction takes a lock that each of them needs. */
interface Obstacle {
  /** Takes the lock, and may change what the statements see when they go on. */
  readonly sql: string;
  readonly values?: readonly unknown[];
  readonly end?: 'COMMIT' | 'ROLLBACK';
}

/** Runs statements at the same moment, each on a connection of its own, as the service runs them. */
export class StatementRace {
  private readonly pool: pg.Pool;
  private readonly holder: pg.Client;
  private readonly through: Queryable;

  private constructor(private readonly database: TestDataSource) {
    pg.defaults.parseInt8 = true;
    this.pool = new pg.Pool({
      connectionString: database.url,
      application_name: APPLICATION,
      max: 25,
      options:
        '-c enable_seqscan=off -c jit=off -c plan_cache_mode=force_generic_plan -c lock_timeout=0 -c statement_timeout=0',
    }).on('error', () => undefined);
    this.holder = new pg.Client({ connectionString: database.ownerUrl }).on('error', () => undefined);
    this.through = adaptPool(this.pool);
  }

  static async open(database: TestDataSource): Promise<StatementRace> {
    const race = new StatementRace(database);
    await race.holder.connect();
    return race;
  }

  /** Runs the statements together. Rejects if one fails. */
  run<Result>(runs: readonly ((through: Queryable) => Promise<Result>)[]): Promise<Result[]> {
    return Promise.all(runs.map((run) => run(this.through)));
  }

  /** Runs the statements, and ends what is in their way as soon as all of them wait for it. Rejects if one fails. */
  async runBehind<Result>(
    { sql, values = [], end = 'ROLLBACK' }: Obstacle,
    runs: readonly ((through: Queryable) => Promise<Result>)[],
  ): Promise<Result[]> {
    await this.holder.query('BEGIN');
    try {
      await this.holder.query(sql, [...values]);
      const results = this.run(runs);
      results.catch(() => undefined);
      await Promise.race([until(async () => (await this.countWaiting()) === runs.length), results]);
      await this.holder.query(end);
      return await results;
    } finally {
      await this.holder.query('ROLLBACK');
    }
  }

  private async countWaiting(): Promise<number> {
    const [row] = await this.database.sql<{ waiting: number }>(
      `SELECT count(*)::integer AS waiting FROM pg_stat_activity
        WHERE application_name = $1 AND datname = current_database() AND wait_event_type = 'Lock'`,
      [APPLICATION],
    );
    return row!.waiting;
  }

  async close(): Promise<void> {
    await Promise.all([this.pool.end(), this.holder.end()]);
  }
}
