import pg from 'pg';
import { readBounded } from '../config/read-bounded.js';
import { DatabaseUnreachableError } from '../http/database-unavailable.js';
import { Problem } from '../http/problem.js';

export interface SessionSettings extends pg.ClientConfig {
  /** The password file is read for each new connection, so the password may change while the service runs. */
  readonly passwordFile?: string | undefined;
}

type ConnectCallback = (error: Error | null, session?: pg.Client) => void;

/** SQLSTATE read_only_sql_transaction: the server is a standby, or was demoted during the session. */
const READ_ONLY = '25006';
const MAX_PASSWORD_BYTES = 4_096;

/**
 * The PostgreSQL client that the whole service uses. A plain `pg.Client` ends the process if its connection is lost
 * while it is idle. It also throws in the constructor, where a pool does not expect it, if a certificate file in its
 * URL cannot be read.
 */
export class DatabaseSession extends pg.Client {
  /** True after a statement failed in a way that makes the next one fail, too. A pool does not keep such a session. */
  spoiled = false;
  private readonly unusable: Error | undefined;

  constructor(settings: SessionSettings) {
    const unusable = findMistake(settings);
    super(unusable ? {} : settings);
    this.unusable = unusable;
    const { passwordFile } = settings;
    // pg accepts a function here. Its types allow one only in the settings, where the empty password of the URL would
    // win.
    if (passwordFile !== undefined) Object.assign(this, { password: () => readPassword(passwordFile) });
    this.on('error', () => undefined);
    this.noticeFailures();
  }

  override connect(): Promise<this>;
  override connect(connected: ConnectCallback): void;
  override connect(connected?: ConnectCallback): Promise<this> | void {
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
        connected(new DatabaseUnreachableError(unusable));
      });
    } else {
      super.connect((error: Error | null) => {
        // pg leaves the connection open if the password cannot be read. It would occupy a slot of the server until the
        // server gives up.
        if (error) this.connection.stream.destroy();
        connected(error && new DatabaseUnreachableError(error), this);
      });
    }
  }

  /**
   * Marks the session as spoiled when a query fails. A pool sees the failures of its own `pool.query`, but not those in
   * the sessions it lends.
   */
  private noticeFailures(): void {
    const query = this.query.bind(this) as (...values: unknown[]) => unknown;
    const queryAndNotice = (...values: unknown[]): unknown => {
      const result = query(...values);
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.spoiled ||= isSpoiling(error);
        });
      }
      return result;
    };
    Object.assign(this, { query: queryAndNotice });
  }
}

/**
 * Twice the number of requests that run at a time (src/http/admission.ts). So many wait only if something is
 * wrong.
 */
const MOST_WAITING = 512;

type LendCallback = (
  error: Error | undefined,
  session: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/** A pool that does not keep spoiled sessions. */
export class DatabasePool extends pg.Pool {
  constructor(settings: SessionSettings & pg.PoolConfig) {
    super({ ...settings, Client: DatabaseSession as never });
    this.on('release', (_error, session) => {
      if ((session as unknown as DatabaseSession).spoiled) void (session as unknown as pg.Client).end();
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
    if (!lent) return isFull ? Promise.reject(createFullProblem()) : super.connect();
    if (isFull) setImmediate(lent, createFullProblem(), undefined, () => undefined);
    else super.connect(lent);
  }
}

/**
 * True if the error spoils the session: the server did not answer, or a standby answered. An error that the server
 * reports leaves the session as it was.
 */
function isSpoiling(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || error.code === READ_ONLY;
}

/** Finds a mistake in the settings: a file that the URL names cannot be read. */
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
