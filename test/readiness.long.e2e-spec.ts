import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { TestService } from './support/service.js';
import { Severable } from './support/severable.js';
import { until } from './support/until.js';

type Details = Record<string, { status: string; [detail: string]: unknown }>;

let service: TestService;
let wire: Severable;
beforeAll(async () => {
  service = await TestService.start({
    databaseUrl: async (url) => {
      wire = await Severable.openBefore(url);
      return wire.url;
    },
  });
});
afterAll(async () => {
  wire.restore();
  await service.stop();
  await wire.close();
});

const probe = async (name = 'ready'): Promise<{ status: number; details: Details }> => {
  const response = await fetch(`${service.running.managementUrl}/health/${name}`);
  const { details } = (await response.json()) as { details: Details };
  return { status: response.status, details };
};

const LATE = 'the database does not answer within 0.75 seconds';

/**
 * Waits because readiness repeats its result for a second before it checks again, and because the database of a slow
 * machine may be late.
 */
const becomes = (status: number): Promise<Details> =>
  until(async () => {
    const answer = await probe();
    return answer.status === status && answer.details['database']?.['message'] !== LATE && answer.details;
  });

/** Returns the partition of the next event. */
async function partitionOfNow(): Promise<string> {
  const [row] = await service.sqlAtRows<{ partition: string }>(
    'SELECT tableoid::regclass::text AS partition FROM audit_event ORDER BY id DESC LIMIT 1',
  );
  return row!.partition;
}

describe('readiness asks the database', () => {
  it('once when 150 probes come together, on one connection that is not one of the service’s', async () => {
    await service.sqlAtRows(`
      CREATE SEQUENCE tried;
      CREATE FUNCTION count_tries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN PERFORM nextval('public.tried'); RETURN NEW; END $$;
      CREATE TRIGGER count_tries BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION count_tries();
    `);
    try {
      await sleep(1_050);
      const began = performance.now();
      await Promise.all(Array.from({ length: 150 }, () => probe()));
      const seconds = (performance.now() - began) / 1_000;
      const [{ tries } = { tries: 0 }] = await service.sqlAtRows<{ tries: number }>(
        'SELECT CASE WHEN is_called THEN last_value::integer ELSE 0 END AS tries FROM tried',
      );
      // Readiness repeats a result for a second.
      expect(tries).toBeLessThanOrEqual(1 + Math.floor(seconds));
      const sessions = await service.sql(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'passkey-manager readiness'`,
      );
      expect(sessions.length).toBeLessThanOrEqual(1);
    } finally {
      await service.sqlAtRows(
        'DROP TRIGGER count_tries ON audit_event; DROP FUNCTION count_tries; DROP SEQUENCE tried',
      );
    }
  });

  it('without leaving a record in the audit log', async () => {
    const count = async (): Promise<unknown> =>
      (await service.sql<{ count: string }>('SELECT count(*) FROM audit_event'))[0]?.count;
    const before = await count();
    await sleep(1_050);
    await becomes(200);
    expect(await count()).toBe(before);
  });
});

it('readiness compares the clocks of service and database, and stays up when they are apart', async () => {
  expect((await becomes(200))['clock']).not.toHaveProperty('message');
  expect(Math.abs(await service.readMetric('passkey_database_clock_offset_seconds'))).toBeLessThan(2);
  service.clock.advance(100);
  try {
    const details = await until(async () => {
      const answer = await probe();
      return answer.details['clock']?.['message'] !== undefined && answer;
    });
    expect(details).toMatchObject({
      status: 200,
      details: { clock: { status: 'up', message: 'the clocks of service and database are apart' } },
    });
    expect(await service.readMetric('passkey_database_clock_offset_seconds')).toBeGreaterThan(97);
  } finally {
    service.clock.advance(-100);
  }
});

describe('the service is not ready', () => {
  afterEach(async () => {
    wire.restore();
    await becomes(200);
  });

  it('when the database hangs, and says so without waiting for it; it stays alive', async () => {
    wire.hold();
    await until(async () => (await probe()).details['database']?.['message'] === LATE);
    const metrics = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
    expect(metrics).toContain('passkey_health_indicator_up{indicator="database"} 0');
    expect(metrics).toContain('passkey_health_indicator_up{indicator="certificate"} 1');
    expect((await probe('live')).status).toBe(200);
    wire.cut();
  });

  it('when the database accepts connections and never answers, also to an orchestrator that waits a second', async () => {
    wire.hold();
    await endProbe();
    const answer = await until(() =>
      fetch(`${service.running.managementUrl}/health/ready`, { signal: AbortSignal.timeout(1_000) }).then(
        (response) => response.status === 503 && response.json(),
        () => undefined,
      ),
    );
    expect(answer).toMatchObject({
      details: { database: { status: 'down', runbook: 'docs/runbook.md#the-database-is-away' } },
    });
    wire.cut();
  });

  it('when it cannot connect, and names the reason', async () => {
    wire.cut();
    expect((await becomes(503))['database']).toEqual({
      status: 'down',
      message: expect.stringContaining('no connection can be made'),
      runbook: 'docs/runbook.md#the-database-is-away',
    });
  });

  it('when the partition for new events takes none, though another one would', async () => {
    const partition = await partitionOfNow();
    await service.sqlAtRows(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON ${partition} FOR EACH ROW EXECUTE FUNCTION refuse();
    `);
    try {
      expect(await becomes(503)).toMatchObject({
        database: { status: 'up' },
        audit: { status: 'down', message: 'no record can be written: refused (53100)' },
      });
    } finally {
      await service.sqlAtRows(`DROP TRIGGER refuse ON ${partition}; DROP FUNCTION refuse`);
    }
  });

  it('when the server that it reaches takes no writes', async () => {
    await service.sql(`ALTER DATABASE ${database()} SET default_transaction_read_only = on`);
    try {
      await endProbe();
      expect((await becomes(503))['database']).toMatchObject({
        message: 'the server is read-only: a standby, or demoted',
      });
    } finally {
      await service.sql(
        `SET default_transaction_read_only = off; ALTER DATABASE ${database()} RESET default_transaction_read_only`,
      );
    }
  });

  it('when the server accepts no new sessions, though the existing ones go on', async () => {
    const role = new URL(service.database.url).username;
    await service.sql(`REVOKE CONNECT ON DATABASE ${database()} FROM ${role}`);
    try {
      await endProbe();
      expect((await becomes(503))['database']).toMatchObject({
        message: expect.stringMatching(/no connection can be made: permission denied for database .* \(42501\)/),
      });
    } finally {
      await service.sql(`GRANT CONNECT ON DATABASE ${database()} TO ${role}`);
    }
  });

  it('when the transparency log stands still, though it accepts records', async () => {
    const holder = new pg.Client({ connectionString: service.database.ownerUrl });
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE audit_checkpoint IN EXCLUSIVE MODE');
      await service.client.call('stranger', 'GET', '/v1/credentials');
      service.clock.advance(60);
      expect(await becomes(503)).toMatchObject({
        database: { status: 'up' },
        audit: { status: 'down', message: 'the audit log stands still', lagSeconds: expect.any(Number) },
      });
    } finally {
      await holder.end();
    }
  });

  it('when a migration of this version is missing, and names it', async () => {
    const [last] = await service.sql<{ name: string }>(
      'DELETE FROM schema_migration WHERE id = (SELECT max(id) FROM schema_migration) RETURNING *',
    );
    try {
      expect((await becomes(503))['migrations']).toMatchObject({ message: `migrations are pending: ${last!.name}` });
    } finally {
      await service.sql(`INSERT INTO schema_migration SELECT * FROM json_populate_record(NULL::schema_migration, $1)`, [
        JSON.stringify(last),
      ]);
    }
  });
});

function database(): string {
  return new URL(service.database.url).pathname.slice(1);
}

/** Ends the probe's session, as its age would. */
async function endProbe(): Promise<void> {
  await service.sql(
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'passkey-manager readiness'`,
  );
}
