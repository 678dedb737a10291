import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { AuditService } from '../../audit/audit.service.js';
import { INSERT_EVENT } from '../../audit/audit-event.repository.js';
import { CLOCK, type Clock } from '../../config/clock.js';
import { Metrics } from '../../telemetry/metrics.js';
import { findPendingMigrations } from '../../database/data-source.js';
import { shareOutcome } from './share-outcome.js';

/** The pool of the probe, which has one connection. */
export const PROBE_POOL = Symbol('PROBE_POOL');

/**
 * Milliseconds after which the probe answers without the database. Orchestrators wait a second for the whole answer, and
 * read no reason in one that comes later.
 */
const PATIENCE_MS = 750;
/** Milliseconds for which a finding is reused. */
const SHARED_MS = 1_000;

/** SQLSTATE read_only_sql_transaction */
const READ_ONLY = '25006';
const TAKES_NO_WRITES = 'the server is read-only: a standby, or demoted';

/** The fault of each part; undefined if it has none. */
export interface DatabaseFindings {
  readonly database: string | undefined;
  readonly migrations: string | undefined;
  readonly audit: string | undefined;
  /** Seconds by which the service's clock is ahead of the database's; undefined if it was not read. */
  readonly clockOffset: number | undefined;
}

/**
 * Tries everything that a change needs: a session of the service's role on a server that takes writes, the schema of
 * this version, and an audit record, which is written where the next event would go and rolled back. The probe has its
 * own connection, so it neither waits for requests nor delays them. It does not reuse a failed or an old connection:
 * every few seconds the server must accept a new one.
 */
@Injectable()
export class DatabaseProbe implements OnApplicationShutdown {
  /** Asks the database at most once a second, however many probes come. Never throws. */
  readonly run = shareOutcome(() => this.probeInTime(), SHARED_MS);

  constructor(
    @Inject(PROBE_POOL) private readonly pool: Pick<pg.Pool, 'connect' | 'end'>,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }

  private async probeInTime(): Promise<DatabaseFindings> {
    const abort = new AbortController();
    const late = sleep(PATIENCE_MS, failAll('the database does not answer within 0.75 seconds'), {
      signal: abort.signal,
    });
    try {
      return await Promise.race([this.probe(), late]);
    } finally {
      late.catch(() => undefined);
      abort.abort();
    }
  }

  private async probe(): Promise<DatabaseFindings> {
    let session: pg.PoolClient;
    try {
      session = await this.pool.connect();
    } catch (error) {
      const isReadOnly = (error as { code?: string }).code === READ_ONLY;
      return failAll(isReadOnly ? TAKES_NO_WRITES : `no connection can be made: ${describeError(error)}`);
    }
    const clockOffset = await this.compareClocks(session);
    const migrations = await describePending(session);
    const audit = await this.tryRecord(session);
    session.release(migrations !== undefined || audit !== undefined);
    const readOnly = audit?.code === READ_ONLY ? TAKES_NO_WRITES : undefined;
    return {
      database: readOnly,
      migrations,
      audit: audit && `no record can be written: ${describeError(audit)}`,
      clockOffset,
    };
  }

  /** Takes the middle of the round trip as the service's time, so it errs by half of it at most. */
  private async compareClocks(session: pg.PoolClient): Promise<number | undefined> {
    try {
      const before = this.clock.now().getTime();
      const { rows } = await session.query<{ ms: number }>(
        'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms',
      );
      const offset = ((before + this.clock.now().getTime()) / 2 - rows[0]!.ms) / 1_000;
      this.metrics.databaseClockOffset.set(offset);
      return offset;
    } catch {
      // The steps that follow fail, too, and say why.
      return undefined;
    }
  }

  private async tryRecord(session: pg.PoolClient): Promise<(Error & { code?: string }) | undefined> {
    try {
      const row = this.audit.createRow(null, { type: 'service.start', outcome: 'success' });
      await session.query('BEGIN');
      await session.query(INSERT_EVENT.text, [...row.values]);
      await session.query('ROLLBACK');
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }
}

async function describePending(session: pg.PoolClient): Promise<string | undefined> {
  try {
    const pending = await findPendingMigrations(session);
    return pending.length > 0 ? `migrations are pending: ${pending.join(', ')}` : undefined;
  } catch (error) {
    return `the schema cannot be read: ${describeError(error)}`;
  }
}

function failAll(reason: string): DatabaseFindings {
  return { database: reason, migrations: reason, audit: reason, clockOffset: undefined };
}

/** Adds the SQLSTATE if the server gave one. */
function describeError(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return [message, code && `(${code})`].filter(Boolean).join(' ');
}
