import pg from 'pg';
import { createTestDatabase, type TestDatabase } from './database.js';
import { readTestRoles } from './test-roles.js';

export type DatabaseRole = 'service' | 'auditor' | 'migrator' | 'sequencer';

/** A database with a session of each role. Statements use the role names of deploy/postgres. */
export class RoleSessions {
  private constructor(
    readonly database: TestDatabase,
    private readonly sessions: Readonly<Record<DatabaseRole | 'owner', pg.Client>>,
  ) {}

  static async open(): Promise<RoleSessions> {
    const database = await createTestDatabase();
    return new RoleSessions(database, {
      owner: await connect(database.ownerUrl),
      service: await connect(database.url),
      auditor: await connect(database.auditorUrl),
      migrator: await connect(database.migratorUrl),
      sequencer: await connect(database.sequencerUrl),
    });
  }

  /** Runs SQL and rolls it back. @returns the SQLSTATE of its failure, or `done` */
  async attempt(role: DatabaseRole, sql: string): Promise<string> {
    const session = this.sessions[role];
    await session.query('BEGIN READ WRITE');
    try {
      await session.query(readTestRoles().named(sql));
      return 'done';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    } finally {
      await session.query('ROLLBACK');
    }
  }

  async query<Row extends object>(role: DatabaseRole | 'owner', sql: string): Promise<Row[]> {
    return (await this.sessions[role].query<Row>(readTestRoles().named(sql))).rows;
  }

  /** Returns the column `name` of the rows that the owner sees. */
  async names(sql: string): Promise<string[]> {
    return (await this.query<{ name: string }>('owner', sql)).map(({ name }) => name);
  }

  columnsOf(table: string): Promise<string[]> {
    return this.names(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped`,
    );
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.sessions).map((session) => session.end()));
    await this.database.drop();
  }
}

async function connect(connectionString: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString });
  await session.connect();
  return session;
}
