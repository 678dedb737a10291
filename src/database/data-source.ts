import pg from 'pg';
import type { DataSourceOptions } from 'typeorm';
import { DatabasePool } from './database-pool.js';
import { Initial1764000000000 } from './migrations/1764000000000-initial.js';
import { UserLimits1764100000000 } from './migrations/1764100000000-user-limits.js';
import { TransparencyLog1764200000000 } from './migrations/1764200000000-transparency-log.js';
import { AuditArchive1764300000000 } from './migrations/1764300000000-audit-archive.js';
import { ListIndexes1764400000000 } from './migrations/1764400000000-list-indexes.js';
import { CredentialLookup1764500000000 } from './migrations/1764500000000-credential-lookup.js';
import { PendingEvents1764610000000 } from './migrations/1764610000000-pending-events.js';
import { PartitionsApart1764620000000 } from './migrations/1764620000000-partitions-apart.js';
import { UserHandleLookup1764700000000 } from './migrations/1764700000000-user-handle-lookup.js';
import { SealedChallenges1764800000000 } from './migrations/1764800000000-sealed-challenges.js';
import { SmallerIndexes1764900000000 } from './migrations/1764900000000-smaller-indexes.js';
import { OrderWithoutTransactions1765000000000 } from './migrations/1765000000000-order-without-transactions.js';
import { ShortLogIndexes1765010000000 } from './migrations/1765010000000-short-log-indexes.js';
import { SealedRelyingParties1765020000000 } from './migrations/1765020000000-sealed-relying-parties.js';
import { Approvals1765100000000 } from './migrations/1765100000000-approvals.js';
import { SealedRows1765200000000 } from './migrations/1765200000000-sealed-rows.js';
import { EventMacs1765210000000 } from './migrations/1765210000000-event-macs.js';
import { Reconciliation1765220000000 } from './migrations/1765220000000-reconciliation.js';
import { ClosedRows1765230000000 } from './migrations/1765230000000-closed-rows.js';
import { PublishablePendingEvents1765240000000 } from './migrations/1765240000000-publishable-pending-events.js';
import { StatusOfARelyingParty1765250000000 } from './migrations/1765250000000-status-of-a-relying-party.js';
import { ApprovalsOfOperators1765270000000 } from './migrations/1765270000000-approvals-of-operators.js';
import { LastSignIn1765285000000 } from './migrations/1765285000000-last-sign-in.js';
import { BrowserKeys1765290000000 } from './migrations/1765290000000-browser-keys.js';
import { ImportedPasskeys1765300000000 } from './migrations/1765300000000-imported-passkeys.js';
import { Signals1765310000000 } from './migrations/1765310000000-signals.js';
import { RevokedUsers1765320000000 } from './migrations/1765320000000-revoked-users.js';
import { Statistics1765321000000 } from './migrations/1765321000000-statistics.js';
import { SuccessorOfARelyingParty1765330000000 } from './migrations/1765330000000-successor-of-a-relying-party.js';
import { Successions1765335000000 } from './migrations/1765335000000-successions.js';

const MIGRATIONS = [
  Initial1764000000000,
  UserLimits1764100000000,
  TransparencyLog1764200000000,
  AuditArchive1764300000000,
  ListIndexes1764400000000,
  CredentialLookup1764500000000,
  PendingEvents1764610000000,
  PartitionsApart1764620000000,
  UserHandleLookup1764700000000,
  SealedChallenges1764800000000,
  SmallerIndexes1764900000000,
  OrderWithoutTransactions1765000000000,
  ShortLogIndexes1765010000000,
  SealedRelyingParties1765020000000,
  Approvals1765100000000,
  SealedRows1765200000000,
  EventMacs1765210000000,
  Reconciliation1765220000000,
  ClosedRows1765230000000,
  PublishablePendingEvents1765240000000,
  StatusOfARelyingParty1765250000000,
  ApprovalsOfOperators1765270000000,
  LastSignIn1765285000000,
  BrowserKeys1765290000000,
  ImportedPasskeys1765300000000,
  Signals1765310000000,
  RevokedUsers1765320000000,
  Statistics1765321000000,
  SuccessorOfARelyingParty1765330000000,
  Successions1765335000000,
];
export const MIGRATIONS_TABLE = 'schema_migration';

/**
 * Statements are prepared while tables are empty, as each month's partition is at first. Without this setting such a
 * statement keeps the plan that reads the whole table until the table is analyzed, a minute or a million rows later.
 * Every statement of the service has an index. None of them is worth JIT compilation.
 */
const PLANNING = { enable_seqscan: 'off', jit: 'off' };
const HOT_PLANNING = { ...PLANNING, plan_cache_mode: 'force_generic_plan' };
/** A role has the setting of the hot statements (deploy/postgres/roles.sql), which other statements do without. */
const REST_PLANNING = { ...PLANNING, plan_cache_mode: 'auto' };
/** Citus makes no plan of a distributed table without the values of the parameters. On other servers this changes nothing. */
const LET_CITUS_PLAN = `SELECT set_config('plan_cache_mode', 'auto', false) FROM pg_catalog.pg_extension WHERE extname = 'citus'`;

/** With more workers each gets fewer connections, because the embedded server accepts a hundred. */
const MANY_WORKERS = 8;

/** Counts the connections of one process. Hot statements beyond the first number wait in the pool. */
export function countConnections(workers: number): { readonly hot: number; readonly rest: number } {
  return { hot: workers > MANY_WORKERS ? 3 : 6, rest: workers === 1 ? 10 : 2 };
}

/**
 * The service gives up instead of hanging: after 3 s for a connection, 5 s for a statement, 2 s for a lock, and 8 s for
 * an answer of a server that does not keep to these limits itself.
 */
const SESSION = {
  connectionTimeoutMillis: 3_000,
  statement_timeout: 5_000,
  query_timeout: 8_000,
  lock_timeout: 2_000,
  idle_in_transaction_session_timeout: 10_000,
};

const APPLICATION = 'passkey-manager';

/** Readiness answers within a second, so each of its steps gives up earlier. */
const PROBE_SESSION = {
  connectionTimeoutMillis: 700,
  statement_timeout: 600,
  query_timeout: 700,
  lock_timeout: 500,
  idle_in_transaction_session_timeout: 1_000,
};
/** After this many seconds the probe opens a new connection, to see that the service still may connect. */
const PROBE_LIFETIME = 10;

/**
 * What every session needs. A pooler drops the parameters with which a session starts, so the service's role has them as its
 * settings.
 */
export const SESSION_PARAMETERS = {
  ...PLANNING,
  statement_timeout: String(SESSION.statement_timeout),
  lock_timeout: String(SESSION.lock_timeout),
  idle_in_transaction_session_timeout: String(SESSION.idle_in_transaction_session_timeout),
};

/** @param url PostgreSQL 15 or later */
export function createDataSourceOptions(url: string, workers = 1, passwordFile?: string): DataSourceOptions {
  return {
    type: 'postgres',
    driver: { ...pg, Pool: DatabasePool },
    migrations: MIGRATIONS,
    migrationsTableName: MIGRATIONS_TABLE,
    migrationsTransactionMode: 'all',
    uuidExtension: 'pgcrypto',
    installExtensions: false,
    applicationName: APPLICATION,
    poolSize: countConnections(workers).rest,
    parseInt8: true,
    extra: { connectionString: url, options: formatOptions(REST_PLANNING), passwordFile, writes: true, ...SESSION },
  };
}

/**
 * Makes the pool of the hot statements, which PostgreSQL prepares and plans once per connection. With a plan per run it
 * would spend more time on planning than on running. The pool is separate, so a list or an export never holds up a
 * sign-in. It is used without TypeORM, which makes a query runner and an entity manager for each statement.
 */
export function createCeremonyPool(url: string, workers = 1, passwordFile?: string): pg.Pool {
  pg.defaults.parseInt8 = true;
  return new DatabasePool({
    connectionString: url,
    passwordFile,
    writes: true,
    application_name: APPLICATION,
    max: countConnections(workers).hot,
    options: formatOptions(HOT_PLANNING),
    verify: (session, done) => {
      session.query(LET_CITUS_PLAN).then(() => {
        done();
      }, done);
    },
    ...SESSION,
  });
}

/** Makes the pool of readiness: one connection, apart from those that serve requests. */
export function createProbePool(url: string, passwordFile?: string): pg.Pool {
  return new DatabasePool({
    connectionString: url,
    passwordFile,
    writes: true,
    application_name: `${APPLICATION} readiness`,
    max: 1,
    maxLifetimeSeconds: PROBE_LIFETIME,
    options: formatOptions(REST_PLANNING),
    ...PROBE_SESSION,
  });
}

function formatOptions(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** @returns the names of this version's migrations that the database lacks */
export async function findPendingMigrations(through: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rows } = await through.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS_TABLE}`);
  const run = new Set(rows.map(({ name }) => name));
  return MIGRATIONS.map((Migration) => new Migration().name).filter((name) => !run.has(name));
}

/** Options for the commands that an operator runs. Their statements have no time limit. */
export function createCommandOptions(url: string, passwordFile?: string): DataSourceOptions {
  return {
    ...createDataSourceOptions(url),
    extra: {
      connectionString: url,
      passwordFile,
      writes: true,
      direct: true,
      connectionTimeoutMillis: 10_000,
      statement_timeout: 0,
      lock_timeout: 10_000,
    },
  };
}
