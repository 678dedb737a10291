import type pg from 'pg';
import { ConfigError } from '../config/config.js';
import { SESSION_PARAMETERS } from './data-source.js';
import type { DatabaseSession } from './database-session.js';
import { type NamedStatement, nameStatement } from './named-statement.js';

interface Facts {
  readonly role: string;
  readonly pid: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Any named statement will do. */
const PREPARED: NamedStatement<{ pid: number }> = nameStatement('start_check', 'SELECT pg_backend_pid() AS pid');
/** A pooler lends its last server first, so the second session has the one that prepared the statement, if not the first. */
const BLOCKERS = 3;

/**
 * Checks at a start that a pooler, if one is in between, keeps what the service relies on: prepared statements across
 * transactions, and the parameters of the session.
 *
 * @param setting names the URL of the login in the message
 * @throws ConfigError
 */
export async function checkSessions(pool: pg.Pool, setting: string): Promise<void> {
  const session = await pool.connect();
  try {
    const { role, pid, settings } = await readFacts(session);
    if (pid === (session as unknown as DatabaseSession).serverPid) return;
    const wrong = Object.entries(SESSION_PARAMETERS).flatMap(([name, value]) =>
      settings[name] === value ? [] : [name],
    );
    if (wrong.length > 0) {
      throw new ConfigError([
        `${setting} leads through a pooler that drops ${wrong.join(', ')}: run deploy/postgres/roles.sql, which keeps them as settings of the role ${role}`,
      ]);
    }
    if (!(await keepsStatements(pool, session))) {
      throw new ConfigError([
        `${setting} leads through a pooler that loses prepared statements between transactions: use PgBouncer 1.21 or later with max_prepared_statements, or pool_mode=session, or name the server itself`,
      ]);
    }
  } finally {
    session.release();
  }
}

async function readFacts(session: pg.ClientBase): Promise<Facts> {
  const { rows } = await session.query<Facts>(
    `SELECT current_user AS role, pg_backend_pid() AS pid,
            (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name = ANY ($1)) AS settings`,
    [Object.keys(SESSION_PARAMETERS)],
  );
  return rows[0]!;
}

/** Runs a prepared statement again while other sessions hold the server that prepared it. */
async function keepsStatements(pool: pg.Pool, session: pg.PoolClient): Promise<boolean> {
  const prepared = await runPrepared(session);
  const blockers: pg.PoolClient[] = [];
  try {
    for (let held; held !== prepared && blockers.length < BLOCKERS;) {
      const blocker = await pool.connect();
      blockers.push(blocker);
      await blocker.query('BEGIN');
      held = (await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
    }
    await runPrepared(session);
    return true;
  } catch (error) {
    // 26000: the statement does not exist. 42P05: another session has prepared one of the same name.
    if (['26000', '42P05'].includes(String((error as { code?: unknown }).code))) return false;
    throw error;
  } finally {
    for (const blocker of blockers) {
      await blocker.query('ROLLBACK').catch(() => undefined);
      blocker.release();
    }
  }
}

async function runPrepared(session: pg.PoolClient): Promise<number | undefined> {
  const { rows } = await session.query<{ pid: number }>({ name: PREPARED.name, text: PREPARED.text });
  return rows[0]?.pid;
}
