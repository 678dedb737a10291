import pg from 'pg';
import { DatabaseUnreachableError } from '../http/database-unavailable.js';
import { Problem } from '../http/problem.js';
import { countServers } from './client-config.js';
import { DatabaseServers } from './database-servers.js';
import { DatabaseSession, type SessionSettings } from './database-session.js';

/**
 * Twice the number of requests that run at a time (src/http/admission.ts). So many wait only if something is
 * wrong.
 */
const MOST_WAITING = 512;

type LendCallback = (
  error: Error | undefined,
  session: pg.PoolClient | undefined,
  done: (release?: boolean | Error) => void,
) => void;

/** A pool that does not keep spoiled sessions, and makes new ones at a server that takes writes. */
export class DatabasePool extends pg.Pool {
  private readonly servers: DatabaseServers;

  constructor(settings: SessionSettings & pg.PoolConfig) {
    const servers = new DatabaseServers(countServers(settings.connectionString));
    const ofPool: SessionSettings & pg.PoolConfig = { ...settings, servers, Client: DatabaseSession as never };
    super(ofPool);
    this.servers = servers;
    this.on('release', (error, session) => {
      (session as unknown as DatabaseSession).noticeFailure(error);
      if (!isUsable(session)) void (session as unknown as pg.Client).end();
    });
    // If an idle session is lost, the pool makes another one for the next statement.
    this.on('error', () => undefined);
  }

  /** @throws Problem unavailable if too many requests wait for a session */
  override connect(): Promise<pg.PoolClient>;
  override connect(lent: LendCallback): void;
  override connect(lent?: LendCallback): Promise<pg.PoolClient> | void {
    const isFull = this.waitingCount >= MOST_WAITING;
    const createFullProblem = (): Problem =>
      new Problem('unavailable', { retryAfter: 1, detail: 'too many requests wait for the database' });
    if (!lent) return isFull ? Promise.reject(createFullProblem()) : this.lend();
    if (isFull) setImmediate(lent, createFullProblem(), undefined, () => undefined);
    else {
      this.lend().then(
        (session) => {
          lent(undefined, session, session.release.bind(session));
        },
        (error: unknown) => {
          lent(error as Error, undefined, () => undefined);
        },
      );
    }
  }

  /** Lends a session, of the next server if one fails. */
  private async lend(): Promise<pg.PoolClient> {
    const failures: DatabaseUnreachableError[] = [];
    for (;;) {
      try {
        const session = await super.connect();
        if (isUsable(session)) return session;
        session.release(true);
      } catch (error) {
        if (!(error instanceof DatabaseUnreachableError)) throw error;
        failures.push(error);
        if (failures.length >= this.servers.count) throw DatabaseUnreachableError.join(failures);
      }
    }
  }
}

function isUsable(session: unknown): boolean {
  return (session as DatabaseSession).isUsable;
}
