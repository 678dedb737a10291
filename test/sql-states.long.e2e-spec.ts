import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { AuditService } from '../src/audit/audit.service.js';
import { countConnections } from '../src/database/data-source.js';
import { runRoleScript } from '../src/database/role-scripts.js';
import { describeSqlState } from '../src/http/sql-states.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { CitusNodes } from './support/citus-nodes.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { DatabaseFaults, REAL, TABLES } from './support/database-faults.js';
import { databaseUrl } from './support/database.js';
import { EveryRoute, UNRECORDED } from './support/every-route.js';
import { insertEvents } from './support/insert-events.js';
import { TestService } from './support/service.js';
import { readTestRoles } from './support/test-roles.js';
import { until } from './support/until.js';

/** A column of each table that its statements name. */
const COLUMNS = new Map([
  ...[
    ['relying_party', 'policy'],
    ['user_handle', 'handle'],
    ['credential', 'public_key'],
    ['approval', 'mac'],
  ],
  ...[
    ['schema_migration', 'name'],
    ['signal_stream', 'owner'],
    ['audit_event', 'event'],
    ['audit_leaf', 'leaf_hash'],
    ['audit_node', 'hash'],
  ],
  ['audit_checkpoint', 'note'],
] as [string, string][]);

/** Citus lets no test put a fault into a read or into a session of the service (database-faults.ts). */
const itWithReads = new CitusNodes().areThere ? it.skip : it;

/** More than an export reads at once. */
const EVENTS = 1_200;

const UNAVAILABLE = 'urn:passkey-manager:problem:unavailable';

let service: TestService;
let everyRoute: EveryRoute;
let faults: DatabaseFaults;
let server: pg.Client;
let name: string;
let answers: [route: string, () => Promise<Answer<unknown>>][];
let before: Record<string, string>;
interface Line {
  readonly message?: string;
  readonly sqlState?: string;
  readonly meaning?: string;
}
let lines: Line[] = [];

beforeAll(async () => {
  service = await TestService.start(EveryRoute.access);
  const keep = (line: Line): void => void lines.push(line);
  Logger.overrideLogger({ log: keep, error: keep, warn: keep, debug: keep });
  everyRoute = await EveryRoute.open(service);
  answers = await listAnswers();
  name = new URL(service.database.ownerUrl).pathname.slice(1);
  server = new pg.Client({ connectionString: databaseUrl(service.database.ownerUrl, 'postgres') });
  await server.connect();
  faults = await DatabaseFaults.install(service);
  const { app } = service.running;
  await insertEvents(app.get(DataSource), app.get(AuditService), 'audit.read', service.clock.now(), EVENTS);
  before = await service.digestTables();
});
beforeEach(() => {
  // After 60 denials within a minute the service counts further ones, and needs no database for that.
  service.clock.advance(2);
  lines = [];
});
afterAll(async () => {
  await server.end();
  await service.stop();
});

/** Answers to challenges, which are sent again and again, because a failure spends no challenge. */
async function listAnswers(): Promise<[string, () => Promise<Answer<unknown>>][]> {
  const { login, authenticator } = everyRoute;
  const registration = requireStatus(await login.requestRegistration('grace'), 201);
  const creation = new Authenticator().create(registration.publicKey, login.origin);
  const issue = async (): Promise<[string, unknown]> => {
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication(), 201);
    return [challengeId, authenticator.get(publicKey, login.origin)];
  };
  const [right, [wrong, response]] = [await issue(), await issue()];
  const altered = { ...(response as object), id: 'AAAA', rawId: 'AAAA' };
  return [
    ['POST /v1/credentials', () => login.answerRegistration(registration.challengeId, creation)],
    ['POST /v1/credentials/verify', () => login.answerAuthentication(...right)],
    ['a refused sign-in', () => login.answerAuthentication(wrong, altered)],
  ];
}

/** Ends every session of the database, so that the service needs new ones. */
async function endSessions(): Promise<void> {
  await server.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [name]);
}

const readReadiness = async (): Promise<Response> => fetch(`${service.running.managementUrl}/health/ready`);

/** Sends every request at once. @returns how the answers differ from 503 with Retry-After */
async function listWrong(requests: readonly [string, () => Promise<Answer<unknown>>][]): Promise<unknown[]> {
  const sent = requests.map(async ([route, request]) => {
    const { status, headers, body } = await request();
    const { type } = (body ?? {}) as { type?: string };
    const right = status === 503 && headers['retry-after'] === '1' && type === UNAVAILABLE;
    return right ? [] : [[route, status, headers['retry-after'], body]];
  });
  return (await Promise.all(sent)).flat();
}

const reads = (): EveryRoute['requests'] => everyRoute.requests.filter(([route]) => route.startsWith('GET '));

/** Checks that the service works again without a restart, and that nothing has changed. */
async function demandRecovery(): Promise<void> {
  expect(await service.digestTables()).toEqual(before);
  await until(async () => (await everyRoute.login.requestAuthentication({ userId: 'ada' })).status === 201);
  await until(async () => (await readReadiness()).status === 200);
  for (const [route, read] of reads()) {
    // The relying party has no successor.
    const status = route.endsWith('/migration') ? 404 : 200;
    expect([route, (await read()).status]).toEqual([route, status]);
  }
}

/** The requests that record an event. */
const recorded = (): [string, () => Promise<Answer<unknown>>][] =>
  [...everyRoute.requests, ...answers].filter(([route]) => !UNRECORDED.includes(route));

/** SQLSTATE deadlock_detected: try again. */
function isDeadlock(error: unknown): boolean {
  if ((error as { code?: string }).code === '40P01') return false;
  throw error;
}

const STATES = [
  ...['08000', '08003', '08006', '08P01', '0A000'],
  ...['22001', '22003', '22021', '22P02', '22P05', '23502', '23503', '23505', '23514', '23P01'],
  ...['25001', '25006', '25P01', '25P02', '25P03', '25P04', '26000', '28000', '2D000', '34000', '3D000', '3F000'],
  ...['40000', '40001', '40003', '40P01', '42501', '42601', '42703', '42704', '42804', '42883', '42P01', '44000'],
  ...['53000', '53100', '53200', '53300', '53400', '54000', '54001'],
  ...[
    '55000',
    '55006',
    '55P03',
    '57000',
    '57014',
    '57P01',
    '57P02',
    '57P03',
    '57P04',
    '57P05',
    '58000',
    '58030',
    '58P01',
  ],
  ...['F0000', 'HV000', 'P0000', 'P0001', 'XX000', 'XX001', 'XX002', 'BANK1'],
  ...Object.keys(REAL),
];

/** Checks that a line of the log names the SQLSTATE, and what to do. */
function demandLine(sqlState: string, message = 'request failed'): void {
  const line = { message, sqlState, meaning: describeSqlState(sqlState) };
  expect(lines).toContainEqual(expect.objectContaining(line));
}

describe('when PostgreSQL answers every statement with', () => {
  it.each(STATES)('%s, every request gets 503, and nothing is changed', async (state) => {
    await faults.set(state, 'statement');
    const wrong = await listWrong(faults.meetReads ? [...everyRoute.requests, ...answers] : recorded());
    const readiness = await readReadiness();
    await faults.clear();
    expect(wrong).toEqual([]);
    expect(readiness.status).toBe(503);
    demandLine(REAL[state] ?? state);
    expect(await service.digestTables()).toEqual(before);
  });

  it('none of them, the service works again without a restart', demandRecovery);
});

describe('when PostgreSQL refuses only', () => {
  it.each(
    (['record', 'commit'] as const).flatMap((place) =>
      ['23514', '40001', '42501', '53100', 'P0001', 'XX000', ...Object.keys(REAL)].map(
        (state) => [place, state] as const,
      ),
    ),
  )('the %s, with %s, every change gets 503, and nothing is changed', async (place, state) => {
    await faults.set(state, place);
    const wrong = await listWrong(recorded());
    await faults.clear();
    expect(wrong).toEqual([]);
    demandLine(REAL[state] ?? state);
    expect(await service.digestTables()).toEqual(before);
  });

  it('neither, the service works again without a restart', demandRecovery);
});

interface Change {
  readonly what: string;
  /** The SQLSTATE that PostgreSQL answers. */
  readonly state: string;
  readonly breaks: readonly string[];
  readonly mends: readonly string[];
  /** True: sessions that are open do not notice it. */
  readonly ofNewSessions?: boolean;
  /** The requests that meet it; by default all. */
  readonly meets?: 'changes' | 'answers';
}

const each = (change: (table: string) => string): string[] => TABLES.map(change);

/** Changes that an administrator may make. `{db}` is the name of the database. */
const CHANGES: readonly Change[] = [
  {
    what: 'the database takes no connections',
    state: '55000',
    breaks: ['ALTER DATABASE {db} ALLOW_CONNECTIONS false'],
    mends: ['ALTER DATABASE {db} ALLOW_CONNECTIONS true'],
    ofNewSessions: true,
  },
  {
    what: 'the limit of connections is reached',
    state: '53300',
    breaks: ['ALTER DATABASE {db} CONNECTION LIMIT 0'],
    mends: ['ALTER DATABASE {db} CONNECTION LIMIT -1'],
    ofNewSessions: true,
  },
  {
    what: 'the role may not connect',
    state: '42501',
    breaks: ['REVOKE CONNECT ON DATABASE {db} FROM passkey_manager'],
    mends: ['GRANT CONNECT ON DATABASE {db} TO passkey_manager'],
    ofNewSessions: true,
  },
  {
    what: 'the database is read-only',
    state: '25006',
    breaks: ['ALTER DATABASE {db} SET default_transaction_read_only = on'],
    mends: ['ALTER DATABASE {db} RESET default_transaction_read_only'],
    ofNewSessions: true,
  },
  {
    what: 'the database has another name',
    state: '3D000',
    breaks: ['ALTER DATABASE {db} ALLOW_CONNECTIONS false', 'END SESSIONS', 'ALTER DATABASE {db} RENAME TO {db}_away'],
    mends: ['ALTER DATABASE {db}_away RENAME TO {db}', 'ALTER DATABASE {db} ALLOW_CONNECTIONS true'],
  },
  {
    what: 'the grants are gone',
    state: '42501',
    breaks: each((table) => `REVOKE ALL ON ${table} FROM passkey_manager`),
    mends: ['GRANTS'],
  },
  {
    what: 'the role may not use the schema',
    state: '42P01',
    breaks: ['REVOKE USAGE ON SCHEMA public FROM passkey_manager'],
    mends: ['GRANT USAGE ON SCHEMA public TO passkey_manager'],
  },
  {
    what: 'the tables are gone',
    state: '42P01',
    breaks: each((table) => `ALTER TABLE ${table} RENAME TO ${table}_away`),
    mends: each((table) => `ALTER TABLE ${table}_away RENAME TO ${table}`),
  },
  {
    what: 'columns are gone',
    state: '42703',
    breaks: [...COLUMNS.entries()].map(([table, column]) => `ALTER TABLE ${table} RENAME ${column} TO away`),
    mends: [...COLUMNS.entries()].map(([table, column]) => `ALTER TABLE ${table} RENAME away TO ${column}`),
  },
  {
    what: 'a constraint refuses each event',
    state: '23514',
    breaks: ['ALTER TABLE audit_event ADD CONSTRAINT closed CHECK (false) NOT VALID'],
    mends: ['ALTER TABLE audit_event DROP CONSTRAINT closed'],
    meets: 'changes',
  },
  {
    what: 'a constraint refuses each spent challenge',
    state: '23514',
    breaks: ['ALTER TABLE spent_challenge ADD CONSTRAINT closed CHECK (false) NOT VALID'],
    mends: ['ALTER TABLE spent_challenge DROP CONSTRAINT closed'],
    meets: 'answers',
  },
];

describe('when', () => {
  async function change(statements: readonly string[]): Promise<void> {
    const { named } = readTestRoles();
    for (const statement of statements) {
      const sql = named(statement.replaceAll('{db}', name));
      if (sql === 'END SESSIONS') await endSessions();
      else if (sql === 'GRANTS') await runRoleScript('grants.sql', service.database.migratorUrl, named);
      else if (/DATABASE/.test(sql)) await server.query(sql);
      // The sequencer may hold one table and wait for another meanwhile, so PostgreSQL may end the first try.
      else await until(() => service.sql(sql).then(() => true, isDeadlock));
    }
  }

  it.each(CHANGES)('$what ($state), every request gets 503, and the service goes on later', async (told) => {
    const { state, breaks, mends, ofNewSessions = false } = told;
    const isOfAnswers = told.meets === 'answers';
    const met = { all: [...everyRoute.requests, ...answers], changes: recorded(), answers }[told.meets ?? 'all'];
    try {
      await change(breaks);
      if (ofNewSessions) await endSessions();
      expect(await listWrong(met)).toEqual([]);
      demandLine(state);
      if (!isOfAnswers) await until(async () => (await readReadiness()).status === 503);
    } finally {
      await change(mends);
    }
    await demandRecovery();
  });
});

describe('an export', () => {
  beforeAll(() =>
    until(async () => {
      const { body } = await service.client.call<string>('auditor', 'GET', '/v1/audit/checkpoint');
      return Number(body.split('\n')[1]) > EVENTS;
    }),
  );

  const exportLog = (): Promise<Answer<unknown>> => service.client.call('auditor', 'GET', '/v1/audit/export');

  itWithReads.each(['53100', 'XX001', 'terminates the session'])(
    'whose later page meets %s breaks off',
    async (state) => {
      await faults.set(state, 'later page');
      // More often than one caller may have exports open.
      const ends: unknown[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        ends.push(
          await exportLog().then(
            ({ status }) => status,
            (error: unknown) => (error as Error).message,
          ),
        );
      }
      await faults.clear();
      // 503: the sequencer met it before.
      expect(ends.filter((end) => end !== 503)).toContain('aborted');
      demandLine(REAL[state] ?? state, 'an export broke off');
      const { body } = await until(async () => {
        const answer = await exportLog();
        return answer.status === 200 && answer;
      });
      expect(String(body).split('\n').length).toBeGreaterThan(EVENTS);
    },
  );
});

/** More failures than any session of the service could have. */
const MANY = 1_000;

describe('the service goes on by itself', () => {
  /** Sends each read until it succeeds. @returns the most failures of one */
  async function countFailures(): Promise<number> {
    const failures = reads().map(async ([route, read]) => {
      for (let failed = 0; ; failed += 1) {
        const answer = await read();
        if (answer.status < 500) return failed;
        if (failed > MANY) throw new Error(`${route} does not go on: ${JSON.stringify(answer)}`);
      }
    });
    return Math.max(...(await Promise.all(failures)));
  }
  const { hot, rest } = countConnections(1);

  it('when another session holds a lock (55P03)', async () => {
    const holder = new pg.Client({ connectionString: service.database.ownerUrl });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query(`LOCK TABLE ${TABLES.join()}`);
    const wrong = await listWrong([...everyRoute.requests, ...answers]);
    await holder.end();
    expect(wrong).toEqual([]);
    demandLine('55P03');
    await demandRecovery();
  });

  it('when a column of what they prepared gets another type (0A000)', async () => {
    const { id } = await everyRoute.login.registered('hopper', new Authenticator());
    const change = async (to: string): Promise<number> =>
      (await service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${to}`, { reason: 'x' })).status;
    expect(await change('suspend')).toBe(200);
    await service.sql('ALTER TABLE user_handle ALTER user_id TYPE varchar(300)');
    const statuses: number[] = [];
    while (statuses.length < rest && statuses.at(-1) !== 200) statuses.push(await change('reinstate'));
    expect(statuses).toEqual([...statuses.slice(1).map(() => 503), 200]);
    demandLine('0A000');
  });

  itWithReads('when its sessions forget what they prepared (26000)', async () => {
    // An erasure may succeed, and then its user is gone.
    const harmless = everyRoute.requests.filter(([route]) => !route.startsWith('DELETE '));
    await faults.set('forgets prepared statements', 'statement');
    // An export breaks off.
    await Promise.allSettled(harmless.map(([, request]) => request()));
    await faults.clear();
    expect(await countFailures()).toBeLessThanOrEqual(hot + rest);
    demandLine('26000');
  });
});
