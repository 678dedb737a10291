/**
 * `npm run races` answers each challenge fifty times at once, at two replicas on one database. Some answers are right, some
 * have a wrong signature, some are registrations with passkeys of different authenticators. Exactly one answer to a challenge may
 * have an outcome; all others are told that it is spent. At the end the audit log must have one outcome for each challenge, and
 * the table of passkeys one row for each registration. The program starts its own PostgreSQL and needs no network.
 */
import { join } from 'node:path';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import pg from 'pg';
import { EXIT, type Program, ProgressLine, readArguments } from '../commands/command-line.js';
import { startEmbeddedPostgres } from '../dev/embedded-postgres/embedded-postgres.js';
import { Authenticator } from '../test/support/authenticator/authenticator.js';
import { LiveConnection } from '../test/support/live-connection.js';
import { Pki } from '../test/support/pki.js';
import { type Service, startService } from './built-service.js';
import { Workspace } from './workspace.js';

const PROGRAM = {
  command: 'npm run races --',
  usage: ['[--answers N] [--at-once N]'],
  about: 'Answers each challenge many times at once, at two replicas. Exactly one answer may have an outcome.',
  options: {
    answers: { value: 'N', text: 'The number of answers; 1000000 without it.' },
    'at-once': { value: 'N', text: 'The number of answers to each challenge; 50 without it.' },
  },
  examples: ['--answers 5000'],
  exitCodes: {
    [EXIT.done]: 'Every challenge has exactly one outcome.',
    [EXIT.failed]: 'A challenge has no outcome, or more than one.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);
const ANSWERS = Number(values.answers ?? 1_000_000);
const AT_ONCE = Number(values['at-once'] ?? 50);
const RACES = Math.ceil(ANSWERS / AT_ONCE);
const ORIGIN = 'http://localhost:3000';
const RP_ID = 'localhost';
/** Every tenth race is a registration. */
const REGISTRATION_EVERY = 10;
/** Every fourth race has only wrong answers, and every other one has some. */
const WRONG_EVERY = 4;

interface Challenge<Options> {
  readonly challengeId: string;
  readonly publicKey: Options;
}

const workspace = new Workspace('races');
const dataDir = workspace.directory;
const progress = new ProgressLine();
const outcomes = { accepted: 0, refused: 0, registered: 0 };
const faults: string[] = [];

async function main(): Promise<boolean> {
  const embedded = await startEmbeddedPostgres({ directory: join(dataDir, 'database') });
  const env = { DATABASE_URL: embedded.migratorUrl, PASSKEY_DATA_DIR: dataDir };
  const database = new pg.Pool({ connectionString: embedded.migratorUrl, max: 1 });
  // One after the other, because the first makes the keys that both use.
  const replicas = [await startService(env)];
  replicas.push(await startService(env));
  const began = performance.now();
  try {
    const connections = openConnections(replicas);
    const authenticator = new Authenticator();
    await enrol(connections, authenticator);
    for (let race = 1; race <= RACES && faults.length === 0; race += 1) {
      if (race % REGISTRATION_EVERY === 0) await raceRegistrations(connections, race);
      else await raceAuthentications(connections, authenticator, race);
      const text = `${String(race)} challenges of ${String(RACES)}, each answered ${String(AT_ONCE)} times at once`;
      if (race % 1_000 === 0) progress.showMilestone(text);
      else progress.show(text);
    }
    await compareWithLog(database);
  } finally {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await database.end();
    await embedded.stop();
    await workspace.end();
  }
  progress.clear();
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  const { accepted, refused, registered } = outcomes;
  console.log(
    `${String(RACES * AT_ONCE)} answers to ${String(RACES)} challenges in ${seconds} s: ${String(accepted)} accepted, ` +
      `${String(refused)} refused, ${String(registered)} registered, all others spent.`,
  );
  for (const fault of faults) console.log(`fault: ${fault}`);
  return faults.length === 0;
}

/** Opens a connection for each answer of a race, half of them to each replica. */
function openConnections(replicas: readonly Service[]): LiveConnection[] {
  const pki = new Pki(join(dataDir, 'pki'));
  return Array.from({ length: AT_ONCE }, (_, number) => {
    const { url } = replicas[number % replicas.length]!;
    return new LiveConnection(url, pki.ca, pki.certificateOf('auth-service'));
  });
}

async function issueRegistration(
  connection: LiveConnection,
  userId: string,
): Promise<Challenge<PublicKeyCredentialCreationOptionsJSON>> {
  const { status, body } = await connection.post('/v1/challenges/registration', {
    rpId: RP_ID,
    user: { id: userId, name: userId, displayName: userId },
    identityProof: { method: 'races', verifiedAt: new Date().toISOString() },
  });
  if (status !== 201) throw new Error(`no challenge: ${String(status)} ${JSON.stringify(body)}`);
  return body as unknown as Challenge<PublicKeyCredentialCreationOptionsJSON>;
}

async function enrol([connection]: readonly LiveConnection[], authenticator: Authenticator): Promise<void> {
  const { challengeId, publicKey } = await issueRegistration(connection!, 'user-0');
  const response = authenticator.create(publicKey, ORIGIN);
  const { status, body } = await connection!.post('/v1/credentials', { challengeId, response });
  if (status !== 201) throw new Error(`no passkey: ${String(status)} ${JSON.stringify(body)}`);
  outcomes.registered += 1;
}

async function raceRegistrations(connections: readonly LiveConnection[], race: number): Promise<void> {
  const { challengeId, publicKey } = await issueRegistration(connections[race % AT_ONCE]!, `user-${String(race)}`);
  const answers = await Promise.all(
    connections.map((connection) => {
      const response = new Authenticator().create(publicKey, ORIGIN);
      return connection.post('/v1/credentials', { challengeId, response });
    }),
  );
  outcomes.registered += judge(
    race,
    answers.map(({ status }) => status),
    [201],
  );
}

async function raceAuthentications(
  connections: readonly LiveConnection[],
  authenticator: Authenticator,
  race: number,
): Promise<void> {
  const issued = await connections[race % AT_ONCE]!.post('/v1/challenges/authentication', { rpId: RP_ID });
  const { challengeId, publicKey } = issued.body as unknown as Challenge<PublicKeyCredentialRequestOptionsJSON>;
  const allWrong = race % WRONG_EVERY === 0;
  const answers = await Promise.all(
    connections.map((connection, number) => {
      const wrong = allWrong || number % WRONG_EVERY === 0;
      const interference = wrong ? { signature: (bytes: Buffer) => Buffer.from(bytes.toReversed()) } : {};
      const response = authenticator.get(publicKey, ORIGIN, interference);
      return connection.post('/v1/credentials/verify', { challengeId, response });
    }),
  );
  const statuses = answers.map(({ status }) => status);
  const wins = judge(race, statuses, allWrong ? [422] : [200, 422]);
  if (statuses.includes(200)) outcomes.accepted += wins;
  else outcomes.refused += wins;
}

/** @returns the number of outcomes */
function judge(race: number, statuses: readonly number[], possible: readonly number[]): number {
  const wins = statuses.filter((status) => possible.includes(status)).length;
  const spent = statuses.filter((status) => status === 409).length;
  if (wins !== 1 || spent !== statuses.length - 1) {
    faults.push(`challenge ${String(race)} was answered with ${statuses.toSorted().join(' ')}`);
  }
  return wins;
}

/** Compares the answers with what the database holds. */
async function compareWithLog(database: pg.Pool): Promise<void> {
  const count = async (sql: string): Promise<number> => {
    const { rows } = await database.query<{ count: number }>(sql);
    return Number(rows[0]?.count);
  };
  const event = (type: string, outcome: string): Promise<number> =>
    count(
      `SELECT count(*) FROM audit_event WHERE type = '${type}' AND outcome = '${outcome}' AND event NOT LIKE '%"challenge-spent"%'`,
    );
  const found = {
    passkeys: [await count('SELECT count(*) FROM credential'), outcomes.registered],
    'registrations in the log': [await event('credential.register', 'success'), outcomes.registered],
    'refused registrations in the log': [await event('credential.register', 'failure'), 0],
    'authentications in the log': [await event('credential.verify', 'success'), outcomes.accepted],
    'refused authentications in the log': [await event('credential.verify', 'failure'), outcomes.refused],
    'spent challenges': [
      await count('SELECT count(*) FROM spent_challenge'),
      outcomes.registered + outcomes.accepted + outcomes.refused,
    ],
  };
  for (const [what, [is, expected]] of Object.entries(found)) {
    if (is !== expected) faults.push(`${what}: ${String(is)}, but the answers tell of ${String(expected)}`);
  }
}

process.exitCode = (await main()) ? EXIT.done : EXIT.failed;
