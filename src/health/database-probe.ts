import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { AuditService, RECORD } from '../audit/audit.service.js';
import { findPendingMigrations } from '../database/data-source.js';
import { shareOutcome } from './share-outcome.js';

/** The one connection of the probe. */
export const PROBE_POOL = Symbol('PROBE_POOL');

/** Milliseconds. A probe gets its answer even when the database gives none. */
const PATIENCE_MS = 1_000;
/** How long a finding is good, in milliseconds. */
const SHARED_MS = 1_000;

/** SQLSTATE read_only_sql_transaction */
const READ_ONLY = '25006';

/** The fault of each part; undefined: it holds. */
export interface DatabaseFindings {
  readonly database: string | undefined;
  readonly migrations: string | undefined;
  readonly audit: string | undefined;
}

/**
 * Tries the needs of every change: a session of the service's role on a server that takes writes, this version's schema, and a
 * record in the audit log, written where the next event would go and rolled back. Its own connection neither waits for those
 * that serve nor keeps them waiting. It does not use a failed connection again, nor an old one: every few seconds the server
 * must let the service in anew.
 */
@Injectable()
export class DatabaseProbe implements OnApplicationShutdown {
  /** Asks the database once a second at most, however many probes ask. Never throws. */
  readonly run = shareOutcome(() => this.probeInTime(), SHARED_MS);

  constructor(
    @Inject(PROBE_POOL) private readonly pool: Pick<pg.Pool, 'connect' | 'end'>,
    private readonly audit: AuditService,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }

  private async probeInTime(): Promise<DatabaseFindings> {
    const abort = new AbortController();
    const late = sleep(PATIENCE_MS, failAll('the database does not answer within a second'), { signal: abort.signal });
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
      return failAll(`no connection can be made: ${describeError(error)}`);
    }
    const migrations = await describePending(session);
    const audit = await this.tryRecord(session);
    session.release(migrations !== undefined || audit !== undefined);
    const readOnly = audit?.code === READ_ONLY ? 'the server is read-only: a standby, or demoted' : undefined;
    return { database: readOnly, migrations, audit: audit && `no record can be written: ${describeError(audit)}` };
  }

  private async tryRecord(session: pg.PoolClient): Promise<(Error & { code?: string }) | undefined> {
    const row = this.audit.row(null, { type: 'service.start', outcome: 'success' });
    try {
      await session.query('BEGIN');
      await session.query(RECORD.text, [...row.values]);
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
  return { database: reason, migrations: reason, audit: reason };
}

/** Adds the SQLSTATE, where the server gave one. */
function describeError(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return [message, code && `(${code})`].filter(Boolean).join(' ');
}
