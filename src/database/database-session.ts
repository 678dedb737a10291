import pg from 'pg';
import { readBounded } from '../config/read-bounded.js';
import { DatabaseUnreachable } from '../problems/database-unavailable.js';
import { Problem } from '../problems/problem.js';

export interface SessionSettings extends pg.ClientConfig {
  /** Read for each new connection: a password may change while the service runs. */
  readonly passwordFile?: string | undefined;
}

type Connected = (error: Error | null, session?: pg.Client) => void;

/** SQLSTATE read_only_sql_transaction: the server is a standby, or was demoted while the session lived on. */
const READ_ONLY = '25006';
const MAX_PASSWORD_BYTES = 4_096;

/**
 * The session with PostgreSQL that everything here uses. A `pg.Client` by itself ends the process when it is lost while
 * nobody uses it. It also throws where a pool does not expect it, when a certificate file of its URL cannot be read.
 */
export class DatabaseSession extends pg.Client {
  /** True once a statement failed in a way that makes the next one fail, too: a pool does not keep such a session. */
  spoiled = false;
  private readonly unusable: Error | undefined;

  constructor(settings: SessionSettings) {
    const unusable = findMistake(settings);
    super(unusable ? {} : settings);
    this.unusable = unusable;
    const { passwordFile } = settings;
    // pg takes a function here, which its types allow in the settings alone, where the URL's empty password would win.
    if (passwordFile !== undefined) Object.assign(this, { password: () => readPassword(passwordFile) });
    this.on('error', () => undefined);
    this.noticeFailures();
  }

  override connect(): Promise<this>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<this> | void {
    if (!connected) {
      return new Promise((resolve, reject) => {
        this.connect((error) => {
          if (error) reject(error);
          else resolve(this);
        });
      });
    }
    const { unusable } = this;
    if (unusable) {
      setImmediate(() => {
        connected(new DatabaseUnreachable(unusable));
      });
    } else {
      super.connect((error: Error | null) => {
        // pg leaves it open when the password cannot be read, and it would take a place at the server until that gives up.
        if (error) this.connection.stream.destroy();
        connected(error && new DatabaseUnreachable(error), this);
      });
    }
  }

  /** A pool learns by itself of failures in its own `pool.query`, and not of those in its users' sessions. */
  private noticeFailures(): void {
    const query = this.query.bind(this) as (...values: unknown[]) => unknown;
    const noticing = (...values: unknown[]): unknown => {
      const result = query(...values);
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.spoiled ||= spoils(error);
        });
      }
      return result;
    };
    Object.assign(this, { query: noticing });
  }
}

/** Twice the requests that run at a time (src/telemetry/admission.ts): so many wait only when something is wrong. */
const MOST_WAITING = 512;

type Lent = (error: Error | undefined, session: pg.PoolClient | undefined, done: (release?: unknown) => void) => void;

/** Keeps sessions for the next statement, unless they are spoiled. */
export class DatabasePool extends pg.Pool {
  constructor(settings: SessionSettings & pg.PoolConfig) {
    super({ ...settings, Client: DatabaseSession as never });
    this.on('release', (_error, session) => {
      if ((session as unknown as DatabaseSession).spoiled) void (session as unknown as pg.Client).end();
    });
    // When a session is lost while nobody uses it, the pool makes another one for the next statement.
    this.on('error', () => undefined);
  }

  /** @throws Problem unavailable: too many wait for a session */
  override connect(): Promise<pg.PoolClient>;
  override connect(lent: Lent): void;
  override connect(lent?: Lent): Promise<pg.PoolClient> | void {
    const isFull = this.waitingCount >= MOST_WAITING;
    const full = (): Problem =>
      new Problem('unavailable', { retryAfter: 1, detail: 'too much waits for the database' });
    if (!lent) return isFull ? Promise.reject(full()) : super.connect();
    if (isFull) setImmediate(lent, full(), undefined, () => undefined);
    else super.connect(lent);
  }
}

/** A refusal by the server leaves the session as it was. No answer, or a standby's answer, spoils it. */
function spoils(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || error.code === READ_ONLY;
}

/** A URL may name files. */
function findMistake(settings: SessionSettings): Error | undefined {
  try {
    new pg.Client(settings);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

async function readPassword(path: string): Promise<string> {
  return (await readBounded(path, MAX_PASSWORD_BYTES)).toString('utf8').replace(/\r?\n$/, '');
}
