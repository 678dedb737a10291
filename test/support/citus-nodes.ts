import pg from 'pg';

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
