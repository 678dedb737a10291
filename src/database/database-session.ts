import pg from 'pg';
import { readBounded } from '../config/read-bounded.js';
import { DatabaseUnreachableError } from '../http/database-unavailable.js';
import { createClientConfig } from './client-config.js';
import { DatabaseServers, type Place } from './database-servers.js';

export interface SessionSettings extends pg.ClientConfig {
  /** The password file is read for each new connection, so the password may change while the service runs. */
  readonly passwordFile?: string | undefined;
  /** True if a server that takes no writes is of no use. */
  readonly writes?: boolean;
  /** True if a pooler is of no use, because the session has a state that must end with it. */
  readonly direct?: boolean;
  /** The servers of the URL, which the sessions of a pool share. */
  readonly servers?: DatabaseServers;
}

type ConnectCallback = (error: Error | null, session?: pg.Client) => void;

/** SQLSTATE read_only_sql_transaction: the server is a standby, or was demoted during the session. */
export const READ_ONLY = '25006';
/**
 * SQLSTATEs of a session that would fail again: a prepared statement is gone, or a table has changed what it returns
 * (feature_not_supported: cached plan must not change result type); a failed transaction was not ended.
 */
const SPOILING = ['26000', '0A000', '25P02'];
const OLDEST_MAJOR = 15;
/** PostgreSQL reports these at the start of a session and when they change. `on` means that it takes no writes. */
const READ_ONLY_PARAMETERS = ['in_hot_standby', 'default_transaction_read_only'];
const MAX_PASSWORD_BYTES = 4_096;
/** Milliseconds for a connection to one of several servers, at least. */
const SHORTEST_CONNECT_MS = 1_000;

/**
 * The PostgreSQL client that the whole service uses. A plain `pg.Client` ends the process if its connection is lost
 * while it is idle. It also throws in the constructor, where a pool does not expect it, if a certificate file in its
 * URL cannot be read.
 */
export class DatabaseSession extends pg.Client {
  /** True after a statement failed in a way that makes the next one fail, too. */
  private spoiled = false;
  private readonly settings: SessionSettings;
  private readonly unusable: Error | undefined;
  private readonly servers: DatabaseServers;
  private readonly place: Place;
  private readonly readOnlyBy = new Set<string>();
  /** Such as `14.19 (Debian 14.19-1)`; PostgreSQL and poolers report it at the start of a session. */
  private serverVersion = '';

  constructor(settings: SessionSettings) {
    const servers = settings.servers ?? new DatabaseServers(1);
    const { place } = servers;
    const { config, unusable } = prepareConfig(settings, servers, place);
    super(config);
    this.settings = settings;
    [this.unusable, this.servers, this.place] = [unusable, servers, place];
    const { passwordFile } = settings;
    // pg accepts a function here. Its types allow one only in the settings, where the empty password of the URL would
    // win.
    if (passwordFile !== undefined) Object.assign(this, { password: () => readPassword(passwordFile) });
    this.on('error', () => undefined);
    this.noticeFailures();
    this.noticeParameters();
  }

  /** False when a pool must not lend the session again. */
  get isUsable(): boolean {
    return !this.spoiled && !this.servers.isLeft(this.place);
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
      return;
    }
    super.connect((error: Error | null) => {
      // pg leaves the connection open if the password cannot be read. It would occupy a slot of the server until the
      // server gives up.
      if (error) this.connection.stream.destroy();
      void (error ? Promise.resolve(error) : this.findFault()).then((fault) => {
        connected(fault && this.fail(fault), this);
      });
    });
  }

  /** Finds the reason why a new session is of no use. */
  private async findFault(): Promise<Error | null> {
    let fault: Error | undefined;
    const major = Number.parseInt(this.serverVersion, 10);
    if (major < OLDEST_MAJOR) fault = createOldError(major);
    else if (this.settings.writes && this.readOnlyBy.size > 0) fault = createReadOnlyError();
    else if (this.settings.direct) fault = await this.findPooler();
    if (fault) void this.end();
    return fault ?? null;
  }

  private async findPooler(): Promise<Error | undefined> {
    try {
      const { rows } = await this.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      if (rows[0]?.pid === this.serverPid) return undefined;
      return new Error('a pooler is in between, and would keep the locks of this program: name the server itself');
    } catch (error) {
      return error as Error;
    }
  }

  /** The process that the server named at the start; a pooler names another. */
  get serverPid(): number | null {
    return (this as unknown as { processID: number | null }).processID;
  }

  private fail(fault: Error & { readonly code?: string }): DatabaseUnreachableError {
    if (fault.code === READ_ONLY) this.servers.leave(this.place);
    // Another server has the same roles.
    else if (!fault.code?.startsWith('28')) this.servers.pass(this.place);
    if (this.servers.count === 1) return new DatabaseUnreachableError(fault);
    return new DatabaseUnreachableError(fault, `${this.host}:${String(this.port)}`);
  }

  /** Marks the session as spoiled if a failure makes the next statement fail, too. */
  noticeFailure(error: unknown): void {
    if (!error) return;
    this.spoiled ||= isSpoiling(error);
    if (isReadOnly(error)) this.leave();
  }

  /** A pool sees the failures of its own `pool.query`, but not those in the sessions it lends. */
  private noticeFailures(): void {
    const query = this.query.bind(this) as (...values: unknown[]) => unknown;
    const queryAndNotice = (...values: unknown[]): unknown => {
      const result = query(...values);
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.noticeFailure(error);
        });
      }
      return result;
    };
    Object.assign(this, { query: queryAndNotice });
  }

  private noticeParameters(): void {
    this.connection.on('parameterStatus', ({ parameterName: name, parameterValue: value }: ParameterStatus) => {
      if (name === 'server_version') this.serverVersion = value;
      if (!READ_ONLY_PARAMETERS.includes(name)) return;
      if (value === 'on') this.readOnlyBy.add(name);
      else this.readOnlyBy.delete(name);
      if (value === 'on' && this.serverPid !== null) this.leave();
    });
  }

  private leave(): void {
    if (this.settings.writes) this.servers.leave(this.place);
  }
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

function createOldError(major: number): Error {
  return new Error(`it is PostgreSQL ${String(major)}, and the service needs ${String(OLDEST_MAJOR)} or later`);
}

function createReadOnlyError(): Error {
  return Object.assign(new Error('the server is read-only: a standby, or demoted'), { code: READ_ONLY });
}

/**
 * True if the error spoils the session: the server did not answer, or a standby answered, or the state of the session is of no
 * use. Another error that the server reports leaves the session as it was.
 */
function isSpoiling(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || isReadOnly(error) || SPOILING.includes(error.code ?? '');
}

function isReadOnly(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === READ_ONLY;
}

/** Finds a mistake in the settings: a URL that cannot be read, or a file that it names. */
function prepareConfig(
  settings: SessionSettings,
  { count }: DatabaseServers,
  { server }: Place,
): { config: pg.ClientConfig; unusable?: Error } {
  // pg-pool hides the password from a copy of all members.
  const { connectionString, connectionTimeoutMillis: patience = 0, password, ...config } = settings;
  try {
    const client = connectionString === undefined ? {} : createClientConfig(connectionString, server);
    const connectionTimeoutMillis = patience && Math.min(patience, Math.max(SHORTEST_CONNECT_MS, patience / count));
    return { config: { ...config, password, ...client, connectionTimeoutMillis } };
  } catch (error) {
    return { config: {}, unusable: error as Error };
  }
}

async function readPassword(path: string): Promise<string> {
  return (await readBounded(path, MAX_PASSWORD_BYTES)).toString('utf8').replace(/\r?\n$/, '');
}
