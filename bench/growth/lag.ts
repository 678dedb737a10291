import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { parseIdTime } from '../../src/audit/audit-event.repository.js';
import { quantile } from '../load/latency.js';

const INTERVAL = 200;

/** Samples for how long the oldest audit event has been pending. */
export class LagProbe {
  private readonly session: pg.Client;
  private seen: number[] = [];
  private running = true;
  private readonly ended: Promise<void>;

  private constructor(session: pg.Client) {
    this.session = session;
    this.ended = this.probe();
    // stop() reports the error, because nothing awaits it before.
    this.ended.catch(() => undefined);
  }

  static async start(databaseUrl: string): Promise<LagProbe> {
    const session = new pg.Client({ connectionString: databaseUrl });
    await session.connect();
    return new LagProbe(session);
  }

  /** Returns median and maximum of the samples since the last call, in milliseconds. */
  take(): { readonly median: number; readonly max: number } {
    const sorted = Float64Array.from(this.seen).sort();
    this.seen = [];
    return { median: quantile(sorted, 0.5), max: sorted.at(-1) ?? NaN };
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.ended;
    await this.session.end();
  }

  private async probe(): Promise<void> {
    while (this.running) {
      const { rows } = await this.session.query<{ id: string }>(
        'SELECT event_id AS id FROM audit_pending ORDER BY event_id LIMIT 1',
      );
      this.seen.push(rows[0] ? Math.max(0, Date.now() - parseIdTime(rows[0].id)) : 0);
      await sleep(INTERVAL);
    }
  }
}
