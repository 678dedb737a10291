import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Config, ConfigError } from '../config/config.js';
import { describeConnectionFailure } from '../database/connection-failure.js';
import { createDataSourceOptions } from '../database/data-source.js';
import { findSqlState } from '../http/database-unavailable.js';

type Settings = Pick<Config, 'auditDatabaseUrl' | 'auditDatabasePasswordFile' | 'workers'>;

/**
 * The connections that write leaves, stored hashes and checkpoints. They have a login of their own if the deployment has one
 * (deploy/postgres/sequencer.sql). Otherwise they are those of the service.
 */
export class LogWriter implements OnApplicationShutdown {
  private constructor(
    private readonly dataSource: DataSource,
    private readonly isOwn: boolean,
  ) {}

  /** @throws ConfigError if the login cannot be used */
  static async open(settings: Settings, shared: DataSource): Promise<LogWriter> {
    const { auditDatabaseUrl: url, auditDatabasePasswordFile: passwordFile, workers } = settings;
    if (url === undefined) return new LogWriter(shared, false);
    try {
      const own = await new DataSource(createDataSourceOptions(url, workers, passwordFile)).initialize();
      await warnOfRights(shared);
      return new LogWriter(own, true);
    } catch (error) {
      const told = describeConnectionFailure(error) ?? (error as Error).message;
      throw new ConfigError([`PASSKEY_AUDIT_DATABASE_URL names a database that cannot be used: ${told}`]);
    }
  }

  get transaction(): DataSource['transaction'] {
    const run = this.dataSource.transaction.bind(this.dataSource) as (...given: unknown[]) => Promise<never>;
    return this.isOwn ? run : (...given: unknown[]) => run(...given).catch(explainMissingRight);
  }

  /** Nest calls it when no turn runs any more. */
  async onApplicationShutdown(): Promise<void> {
    if (this.isOwn) await this.dataSource.destroy();
  }
}

/** SQLSTATE insufficient_privilege */
const MISSING_RIGHT = '42501';

/** After sequencer.sql the service's own login may no longer write the log. */
function explainMissingRight(error: unknown): never {
  if (findSqlState(error) !== MISSING_RIGHT) throw error;
  const message = `${(error as Error).message}: set PASSKEY_AUDIT_DATABASE_URL if sequencer.sql has run, or run grants.sql`;
  throw Object.assign(new Error(message, { cause: error }), { code: MISSING_RIGHT });
}

/** Warns if the login of its own keeps nobody out. */
async function warnOfRights(shared: DataSource): Promise<void> {
  const [row] = await shared.query<[{ may: boolean }]>(`SELECT has_table_privilege('audit_leaf', 'INSERT') AS may`);
  if (!row.may) return;
  const message = 'the role of DATABASE_URL may write the transparency log, too: run sequencer.sql after grants.sql';
  new Logger(LogWriter.name).warn({ message });
}
