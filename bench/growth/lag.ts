import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { timeOfId } from '../../src/audit/event-id.js';
import { quantile } from '../load/latency.js';

const INTERVAL = 200;

/** For how long the oldest audit event has waited for its place in the log, looked at again and again. */
export class LagProbe {
  private readonly session: pg.Client;
  private seen: number[] = [];
  private running = true;
  private readonly ended: Promise<void>;

  private constructor(session: pg.Client) {
    this.session = session;
    this.ended = this.probe();
    // Told by stop(): nobody waits for it before.
    this.ended.catch(() => undefined);
  }

  static async start(databaseUrl: string): Promise<LagProbe> {
    const session = new pg.Client({ connectionString: databaseUrl });
    await session.connect();
    return new LagProbe(session);
  }

  /** Milliseconds since the last time that this was asked for. */
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
      const last = await this.session.query<{ tx: string; id: string }>(
        'SELECT last_tx::text AS tx, last_id AS id FROM audit_checkpoint ORDER BY size DESC LIMIT 1',
      );
      // Not as one statement: it would go through the whole log.
      const { rows } = await this.session.query<{ id: string }>(
        'SELECT id FROM audit_event WHERE (tx, id) > ($1::xid8, $2::uuid) ORDER BY tx, id LIMIT 1',
        [last.rows[0]!.tx, last.rows[0]!.id],
      );
      this.seen.push(rows[0] ? Math.max(0, Date.now() - timeOfId(rows[0].id)) : 0);
      await sleep(INTERVAL);
    }
  }
}
