import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { LogPartitions } from '../src/audit-log/log-partitions.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { CitusNodes } from './support/citus-nodes.js';
import { databaseUrl } from './support/database.js';
import { TestService } from './support/service.js';

let service: TestService;
let reader: pg.Client | undefined;
afterEach(async () => {
  await reader?.end();
  reader = undefined;
  await service.stop();
});

async function connect(url: string): Promise<pg.Client> {
  const name = new URL(url).pathname.slice(1);
  const owner = new pg.Client({ connectionString: databaseUrl(process.env['PASSKEY_TEST_DATABASE_URL']!, name) });
  await owner.connect();
  return owner;
}

/** The months of a log whose service was last started a year ago. */
async function backdate(owner: pg.Client): Promise<void> {
  await owner.query(`
    DO $$
    DECLARE
      part record;
    BEGIN
      FOR part IN SELECT name FROM audit_partitions() WHERE name <> 'audit_event_initial' LOOP
        EXECUTE format('DROP TABLE %I', part.name);
      END LOOP;
      ALTER TABLE audit_event DETACH PARTITION audit_event_initial;
      EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION audit_event_initial FOR VALUES FROM (MINVALUE) TO (%L)',
        audit_first_id((date_trunc('month', now()) - interval '9 months')::date));
    END $$`);
}

const of = <T>(type: abstract new (...args: never[]) => T): T => service.running.app.get(type, { strict: false });

async function signIn(times: number): Promise<void> {
  const party = await service.relyingParty('login.example.com');
  const authenticator = new Authenticator();
  await party.registered('ada', authenticator);
  for (let n = 0; n < times; n += 1) await party.authenticate(authenticator);
}

/** Counts the events of each partition, once every event is sequenced. */
async function partitions(): Promise<Record<string, number>> {
  while ((await of(PendingEventsRepository).findOldest()) !== undefined) {
    service.clock.advance(1);
    await of(CheckpointScheduler).tick();
  }
  const counts: Record<string, number> = {};
  for (const { name } of await service.sql<{ name: string }>('SELECT name FROM audit_partitions()')) await count(name);
  await count('audit_event_default');
  return counts;

  async function count(name: string): Promise<void> {
    const [row] = await service.sql<{ events: number; placed: number }>(
      `SELECT count(*)::integer AS events, count(leaf_index)::integer AS placed
         FROM ${name} LEFT JOIN audit_leaf ON event_id = id`,
    );
    expect(row!.placed).toBe(row!.events);
    if (row!.events > 0) counts[name] = row!.events;
  }
}

const month = (): string => `audit_event_${service.clock.now().toISOString().slice(0, 7).replace('-', '_')}`;

describe('a service that last started almost a year ago', () => {
  it('writes its first event and all others to the partition of the month', async () => {
    service = await TestService.start({
      databaseUrl: async (url) => {
        const owner = await connect(url);
        await backdate(owner);
        await owner.end();
        return url;
      },
    });
    await signIn(3);
    expect(Object.keys(await partitions())).toEqual([month()]);
    expect(of(CheckpointScheduler).getState().failures).toEqual([]);
  });

  it('serves beside a reader that keeps the month’s partition from being made, reports that, and mends it afterwards', async () => {
    service = await TestService.start({
      databaseUrl: async (url) => {
        reader = await connect(url);
        await backdate(reader);
        await reader.query('BEGIN');
        await reader.query('SELECT count(*) FROM audit_event');
        return url;
      },
    });
    await signIn(3);
    expect(Object.keys(await partitions())).toEqual(['audit_event_default']);
    expect(of(CheckpointScheduler).getState().failures).toEqual(['partitions']);
    const ready = await fetch(`${service.running.managementUrl}/health/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.text()).toContain('"failures":["partitions"]');

    await reader!.query('COMMIT');
    service.clock.advance(600);
    await of(LogPartitions).make();
    await signIn(1);
    const kept = Object.keys(await partitions());
    const { failures } = of(CheckpointScheduler).getState();
    // Emptying the default partition needs a trigger, which Citus does not allow. The failure goes on to say so.
    const isMended = !new CitusNodes().areThere;
    expect([kept, failures]).toEqual(isMended ? [[month()], []] : [['audit_event_default'], ['partitions']]);
  });
});
