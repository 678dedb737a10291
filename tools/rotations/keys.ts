/**
 * `npm run rotations:keys` replaces the binding key, the challenge key and the audit key under load, as the runbook says: two
 * replicas on one database are restarted one by one after each step. A caller uses any replica that runs for each request of a
 * ceremony, and repeats none. No request may fail, and no row may. The program starts its own PostgreSQL, and needs no network.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { EXIT, type Program, ProgressLine, readArguments } from '../../commands/command-line.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import type { LiveAnswer } from '../../test/support/live-connection.js';
import { LiveConnection } from '../../test/support/live-connection.js';
import { Pki } from '../../test/support/pki.js';
import { makeKeyFile } from '../../test/support/sample-log.js';
import { type Service, startService } from '../built-service.js';
import { Workspace } from '../workspace.js';
import { loadBuiltKeys } from '../built-keys.js';
import { callAllTheTime, enrol, Tally } from './callers.js';

const PROGRAM = {
  command: 'npm run rotations:keys --',
  usage: ['[--cycles N] [--callers N]'],
  about:
    'Replaces the binding key, the challenge key and the audit key of two replicas under load. No request may fail.',
  options: {
    cycles: { value: 'N', text: 'How often each key is replaced; 2 without it. A cycle takes two minutes.' },
    callers: { value: 'N', text: 'The number of callers; 8 without it.' },
  },
  examples: ['--cycles 1'],
  exitCodes: {
    [EXIT.done]: 'No request failed, every row has the seal of the last key, and the old keys are gone.',
    [EXIT.failed]: 'A request or a row failed, or a row still needs an old key.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);
const [CYCLES, CALLERS] = [Number(values.cycles ?? 2), Number(values.callers ?? 8)];
/** A request that a replica has begun is answered within this time. */
const DRAIN_MS = 500;
/** Replicas look every ten seconds which keys are retired. */
const LOOK_MS = 12_000;
const PATIENCE_MS = 300_000;

const { addKey, KeyFileError, listKeyIds, moveKeyFirst, removeKey, retire } = await loadBuiltKeys();
const workspace = new Workspace('key-rotations');
const dataDir = workspace.directory;
const path = (name: string): string => join(dataDir, name);
const pki = new Pki(path('pki'));
const tally = new Tally();
const load = new AbortController();
const progress = new ProgressLine();
/** The connections of each replica that takes requests. */
let serving: LiveConnection[][] = [];

/** A caller's way to the replicas: each request goes to any one that runs, as through a load balancer. */
class Balanced {
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  get(target: string): Promise<LiveAnswer> {
    return this.#choose().get(target);
  }

  post(target: string, body: unknown): Promise<LiveAnswer> {
    return this.#choose().post(target, body);
  }

  #choose(): LiveConnection {
    return serving[Math.floor(Math.random() * serving.length)]![this.#number]!;
  }
}

class Replica {
  #service: Service | undefined;
  #connections: LiveConnection[] = [];
  readonly #env: Record<string, string>;

  constructor(env: Record<string, string>) {
    this.#env = env;
  }

  async start(): Promise<void> {
    this.#service = await startService(this.#env);
    const { url } = this.#service;
    this.#connections = Array.from(
      { length: CALLERS },
      () => new LiveConnection(url, pki.ca, pki.certificateOf('auth-service')),
    );
    serving = [...serving, this.#connections];
  }

  async stop(): Promise<void> {
    serving = serving.filter((each) => each !== this.#connections);
    await sleep(DRAIN_MS);
    for (const connection of this.#connections) connection.close();
    await this.#service?.stop();
  }
}

async function main(): Promise<boolean> {
  await prepareDevelopment(dataDir);
  const embedded = await startEmbeddedPostgres({ directory: path('database') });
  const owner = await new DataSource({ type: 'postgres', url: embedded.migratorUrl }).initialize();
  writeFileSync(path('challenge.keys'), `${randomBytes(32).toString('base64')}\n`);
  const env = { PASSKEY_CHALLENGE_KEYS_FILE: path('challenge.keys'), PASSKEY_DATA_DIR: dataDir };
  const replicas = [1, 2].map(() => new Replica({ ...env, DATABASE_URL: embedded.migratorUrl }));
  try {
    for (const replica of replicas) await replica.start();
    return await rotateUnderLoad(replicas, owner);
  } finally {
    load.abort();
    for (const replica of replicas) await replica.stop();
    await owner.destroy();
    await embedded.stop();
    await workspace.end();
  }
}

async function rotateUnderLoad(replicas: readonly Replica[], owner: DataSource): Promise<boolean> {
  const callers = await Promise.all(
    Array.from({ length: CALLERS }, (_, number) => enrol(new Balanced(number) as never, `user-${String(number)}`)),
  );
  const calls = callers.map((caller) => callAllTheTime(caller, tally, load.signal));
  let restarts = 0;
  const roll = async (step: string): Promise<void> => {
    for (const replica of replicas) {
      await replica.stop();
      await replica.start();
      restarts += 1;
    }
    progress.showMilestone(`${step}: ${String(tally.served)} requests served`);
  };
  for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
    await rotateChallengeKey(roll);
    await rotateAuditKey(roll);
    await rotateBindingKey(roll, owner);
  }
  load.abort();
  await Promise.all(calls);
  return report(restarts, await readFaults(owner));
}

async function rotateChallengeKey(roll: (step: string) => Promise<void>): Promise<void> {
  const file = path('challenge.keys');
  const old = readFileSync(file, 'utf8');
  const next = `${randomBytes(32).toString('base64')}\n`;
  for (const [step, keys] of [
    ['challenge key added', old + next],
    ['challenge key first', next + old],
    ['old challenge key removed', next],
  ] as const) {
    writeFileSync(file, keys);
    await roll(step);
  }
}

async function rotateAuditKey(roll: (step: string) => Promise<void>): Promise<void> {
  const file = path('audit.key');
  const next = makeKeyFile();
  writeFileSync(file, next + readFileSync(file, 'utf8'));
  await roll('audit key added');
  writeFileSync(file, next);
  await roll('old audit key removed');
}

async function rotateBindingKey(roll: (step: string) => Promise<void>, owner: DataSource): Promise<void> {
  const file = path('binding.key');
  const [old] = listKeyIds(file);
  const added = addKey(file);
  await roll('binding key added');
  moveKeyFirst(file, added);
  await roll('binding key first');
  const deadline = performance.now() + PATIENCE_MS;
  for (let retired = false; !retired;) {
    try {
      await retire(owner, old!, () => sleep(LOOK_MS));
      retired = true;
    } catch (error) {
      if (!(error instanceof KeyFileError) || performance.now() > deadline) throw error;
      await sleep(2_000);
    }
  }
  progress.showMilestone(`old binding key retired: ${String(tally.served)} requests served`);
  removeKey(file, old!);
  await roll('old binding key removed');
}

/** Finds events of rows that failed, and failures of the log. */
async function readFaults(owner: DataSource): Promise<string[]> {
  const rows = await owner.query<{ type: string; events: number }[]>(
    `SELECT type, count(*)::integer AS events FROM audit_event
      WHERE type LIKE '%.tampered' OR type IN ('audit.failure', 'reconciliation.finding') GROUP BY type`,
  );
  return rows.map(({ type, events }) => `${String(events)} × ${type}`);
}

function report(restarts: number, faults: readonly string[]): boolean {
  progress.clear();
  const failed = [...tally.failed].map(([kind, count]) => `${String(count)} × ${kind}`);
  console.log(`Rotations        ${String(CYCLES)} of the binding key, the challenge key and the audit key`);
  console.log(`Restarts         ${String(restarts)}, one replica of two at a time`);
  console.log(`Requests served  ${String(tally.served)}`);
  console.log(`Requests failed  ${failed.length === 0 ? '0' : failed.join('; ')}`);
  console.log(`Faults           ${faults.length === 0 ? '0' : faults.join('; ')}`);
  return failed.length === 0 && faults.length === 0 && tally.served > 0;
}

process.exit((await main()) ? EXIT.done : EXIT.failed);
