import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { readTables, type Table } from './catalog.js';
import { keyOf, type Row, type RowChange, type Statement, type TableRows } from './row-changes.js';

export type Changer = 'service' | 'owner';

/** SQLSTATE insufficient_privilege */
const FORBIDDEN = '42501';
/** That, and the class of violated constraints. */
const REFUSED = /^(?:42501|23\d\d\d)$/;

/** A state of a row by table, SQL over the row `t`; by default all rows have one state. */
export type States = Readonly<Record<string, string>>;

/**
 * A database whose rows a test changes as one of the roles, and puts back. The copies are in the schemas `earlier` and
 * `untouched`.
 */
export class TamperedDatabase {
  readonly rows = new Map<string, TableRows>();
  /** What a role lacks the privileges for, whatever the row. */
  private readonly forbidden = new Set<string>();

  private constructor(
    private readonly owner: pg.Client,
    private readonly sessions: Readonly<Record<Changer, pg.Client>>,
  ) {}

  /** Copies all tables as they are now. `earlier` must have been copied before. */
  static async open(
    owner: pg.Client,
    urls: Readonly<Record<Changer, string>>,
    states: States,
  ): Promise<TamperedDatabase> {
    const sessions = { service: await connect(urls.service), owner: await connect(urls.owner) };
    const database = new TamperedDatabase(owner, sessions);
    await copyTables(owner, 'untouched');
    for (const table of await readTables(owner)) {
      database.rows.set(table.name, await readRows(owner, table, states[table.name] ?? `''`));
    }
    return database;
  }

  /** Applies a change in a transaction. @returns false if the role or a constraint does not allow it */
  async apply(role: Changer, { column, operation, ways }: RowChange, table: string): Promise<boolean> {
    const name = [role, table, column, operation].join();
    if (this.forbidden.has(name)) return false;
    const refusals = new Set<string | undefined>();
    for (const way of ways) {
      const refusal = await this.commit(this.sessions[role], way);
      if (refusal === undefined) return true;
      refusals.add(refusal);
    }
    if (isDeepStrictEqual([...refusals], [FORBIDDEN])) this.forbidden.add(name);
    return false;
  }

  /** Makes tables what they were. */
  async restore(tables: Iterable<string> = this.rows.keys()): Promise<void> {
    const statements = [...tables].map(
      (table) => `
        DELETE FROM ${table} t USING (TABLE ${table} EXCEPT ALL TABLE untouched.${table}) AS d WHERE t IS NOT DISTINCT FROM d;
        INSERT INTO ${table} (TABLE untouched.${table} EXCEPT ALL TABLE ${table})`,
    );
    await this.owner.query(`BEGIN; ${statements.join(';')}; COMMIT`);
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.sessions).map((session) => session.end()));
  }

  /** @returns the SQLSTATE of the refusal; undefined: none */
  private async commit(session: pg.Client, way: readonly Statement[]): Promise<string | undefined> {
    try {
      if (way.length > 1) await session.query('BEGIN');
      for (const { sql, values } of way) {
        const { rowCount } = await session.query(sql, [...values]);
        if (rowCount !== 1) throw new Error(`${String(rowCount)} rows, not one: ${sql} ${JSON.stringify(values)}`);
      }
      if (way.length > 1) await session.query('COMMIT');
      return undefined;
    } catch (error) {
      if (way.length > 1) await session.query('ROLLBACK');
      const { code = '' } = error as { code?: string };
      if (REFUSED.test(code)) return code;
      throw error;
    }
  }
}

async function connect(connectionString: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString, options: '-c timezone=UTC' });
  await session.connect();
  return session;
}

/** Copies all tables to a schema. */
export async function copyTables(owner: pg.Client, schema: string): Promise<void> {
  const copies = (await readTables(owner)).map(({ name }) => `CREATE TABLE ${schema}.${name} AS TABLE ${name}`);
  await owner.query([`SET timezone = 'UTC'`, `CREATE SCHEMA ${schema}`, ...copies].join(';'));
}

async function readRows(owner: pg.Client, table: Table, state: string): Promise<TableRows> {
  const columns = table.columns.map(({ name }) => `"${name}"::text`).join(', ');
  const { rows } = await owner.query<{ state: string; row: Row }>(
    `SELECT ${state} AS state, (SELECT row_to_json(r) FROM (SELECT ${columns}) AS r) AS row FROM untouched.${table.name} AS t ORDER BY ${table.key.map((name) => `"${name}"`).join()}`,
  );
  const earlier = await owner.query<{ row: Row }>(
    `SELECT (SELECT row_to_json(r) FROM (SELECT ${columns}) AS r) AS row FROM earlier.${table.name}`,
  );
  const states = new Map<string, Row[]>();
  for (const { state: name, row } of rows) states.set(name, [...(states.get(name) ?? []), row]);
  return { table, states, earlier: new Map(earlier.rows.map(({ row }) => [keyOf(table, row), row])) };
}
