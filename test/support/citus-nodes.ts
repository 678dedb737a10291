import pg from 'pg';

export interface RowsAtWorker {
  /** The URL of the worker's database. */
  readonly url: string;
  /** The name of each distributed table at the worker. */
  readonly shards: ReadonlyMap<string, string>;
}

/**
 * The workers of the Citus cluster whose coordinator is the server of DATABASE_URL, if PASSKEY_TEST_CITUS_WORKERS names them:
 * `host:port`, with a space between two. Then each test database is distributed. PostgreSQL copies a template of one server, so each
 * node copies its part under the same name, and the copies form a cluster as the templates do.
 */
export class CitusNodes {
  private readonly workers = process.env['PASSKEY_TEST_CITUS_WORKERS']?.split(' ') ?? [];

  get areThere(): boolean {
    return this.workers.length > 0;
  }

  /** Runs something at each worker, in a database that is not distributed. */
  async each(work: (session: pg.Client) => Promise<unknown>): Promise<void> {
    for (const worker of this.workers) await runAt(atWorker(worker, 'postgres'), work);
  }

  /** Makes a cluster of the coordinator's database and one of the same name at each worker. */
  async join(database: string, owner: string): Promise<void> {
    if (!this.areThere) return;
    const { hostname, port } = new URL(owner);
    for (const worker of this.workers) {
      await runAt(atWorker(worker, 'postgres'), (session) => session.query(`CREATE DATABASE ${database}`));
      await runAt(atWorker(worker, database), (session) => session.query('CREATE EXTENSION citus'));
    }
    await runAt(owner, async (session) => {
      await session.query('CREATE EXTENSION citus');
      await session.query('SELECT citus_set_coordinator_host($1, $2)', [hostname, Number(port)]);
      for (const worker of this.workers) await session.query('SELECT citus_add_node($1, $2)', worker.split(':'));
    });
  }

  /**
   * Finds where a database keeps the rows of its distributed tables, and what their tables are called there: Citus accepts no
   * trigger and no policy for a distributed table at the coordinator. They are all in one group, so at one worker.
   *
   * @returns undefined if the tests do not run on a cluster
   */
  async findRows(session: pg.Pool): Promise<RowsAtWorker | undefined> {
    if (!this.areThere) return undefined;
    const { rows } = await session.query<{ name: string; shard: string; worker: string }>(
      `SELECT logicalrelid::text AS name, shard_name(logicalrelid, shardid) AS shard, nodename || ':' || nodeport AS worker
         FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)`,
    );
    const shards = new Map(rows.map(({ name, shard }) => [name, shard]));
    const { rows: databases } = await session.query<{ name: string }>('SELECT current_database() AS name');
    return { url: atWorker(rows[0]!.worker, databases[0]!.name), shards };
  }

  /** Ends the sessions in a template, and lets no other begin: Citus itself has one in each database, which nobody can copy then. */
  async leaveAlone(template: string, coordinator: pg.Client): Promise<void> {
    const close = async (session: pg.Client): Promise<void> => {
      await session.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
      await session.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [
        template,
      ]);
    };
    await close(coordinator);
    await this.each(close);
  }
}

function atWorker(worker: string, database: string): string {
  return Object.assign(new URL(process.env['DATABASE_URL']!), { host: worker, pathname: `/${database}` }).href;
}

async function runAt(url: string, work: (session: pg.Client) => Promise<unknown>): Promise<void> {
  const session = new pg.Client({ connectionString: url, application_name: 'passkey-manager tests' });
  await session.connect();
  try {
    await work(session);
  } finally {
    await session.end();
  }
}
