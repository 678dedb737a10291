/**
 * `npm run crashes` kills the service or its database (kill -9) a thousand times under load, and compares the rest with the
 * acknowledged changes. No change may lack its event, and no event its change. Every passkey must have the state that its
 * events give, and the whole log must fit every checkpoint that the service ever answered. A receiver of Shared Signals must have heard
 * of each change, and of nothing else, in the order of the user's changes. With `--rotate` the binding key is
 * replaced meanwhile, and at the end every row must have the seal of the last key. The program starts its own PostgreSQL with
 * durable commits, and needs no network.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { EXIT, type Program, ProgressLine, readArguments } from '../../commands/command-line.js';
import { startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceProcess } from '../../test/support/service-process.js';
import { Ledger } from './ledger.js';
import { live, watchCheckpoints } from './load.js';
import { sequenced, verifyLog } from './log-check.js';
import { KeyRotation } from './key-rotation.js';
import { reconcile } from './reconcile.js';
import { SignalReceiver } from './signal-receiver.js';
import { MEMORY, Workspace } from '../workspace.js';

const PROGRAM = {
  command: 'npm run crashes --',
  usage: ['[--rounds N] [--callers N] [--every N] [--rotate] [--directory DIRECTORY]'],
  about: 'Kills the service or its database under load, and compares the rest with the acknowledged changes.',
  options: {
    rounds: { value: 'N', text: 'The number of crashes; 1000 without it.' },
    callers: { value: 'N', text: 'The number of callers; 8 without it.' },
    every: { value: 'N', text: 'Compares after so many crashes; 50 without it.' },
    rotate: { text: 'Replaces the binding key meanwhile, a step at each start after a crash.' },
    directory: { value: 'DIRECTORY', text: `The directory of the database; ${MEMORY} without it.` },
  },
  examples: ['--rounds 20 --every 10', '--rounds 100 --rotate'],
  exitCodes: {
    [EXIT.done]: 'Every change has its event and its signal, and each of these its change.',
    [EXIT.failed]: 'A change, an event or a signal is missing, or the service did not come back.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { rounds = '1000', callers = '8', every = '50', rotate, directory = MEMORY } = readArguments(PROGRAM).values;
const [ROUNDS, CALLERS, EVERY] = [Number(rounds), Number(callers), Number(every)];
/** The time of load before the kill, after a new service has begun to answer. */
const [SHORTEST_MS, LONGEST_MS] = [50, 400];
/** With --rotate, a service lives so long before every twentieth crash, and seals rows again, which it begins after a minute. */
const [LONG_LIFE_MS, LONG_LIFE_EVERY] = [75_000, 20];
const WARM_MS = 2_000;
const PATIENCE_MS = 30_000;

const KILLS = ['service', 'database', 'service', 'both'] as const;
type Kill = (typeof KILLS)[number];

const workspace = new Workspace('crashes', directory);
const dataDir = workspace.directory;
const progress = new ProgressLine();
const ledger = new Ledger();
const seen: string[] = [];
const killed: Record<Kill, number> = { service: 0, database: 0, both: 0 };
const faults: string[] = [];
let checks = 0;
let proved = 0;
let receiver: SignalReceiver;

async function main(): Promise<boolean> {
  const embedded = await startEmbeddedPostgres({ directory: join(dataDir, 'database') });
  const database = new pg.Pool({ connectionString: embedded.migratorUrl, max: 2 }).on('error', () => undefined);
  let service = await ServiceProcess.start(dataDir, embedded.migratorUrl);
  receiver = await SignalReceiver.subscribe(service);
  const rotation = rotate ? await KeyRotation.open(dataDir, embedded.migratorUrl) : undefined;
  const start = async (): Promise<ServiceProcess> => {
    await rotation?.advance();
    return ServiceProcess.start(dataDir, embedded.migratorUrl);
  };
  const began = performance.now();
  try {
    for (let round = 1; round <= ROUNDS && faults.length === 0; round += 1) {
      const kill = KILLS[round % KILLS.length]!;
      const lifeMs = rotation && round % LONG_LIFE_EVERY === 0 ? LONG_LIFE_MS : 0;
      service = await crashAndComeBack(service, kill, database, start, lifeMs).catch((error: unknown) => {
        throw new Error(`after crash ${String(round)}, of ${kill}; the service: ${service.lastWords}`, {
          cause: error,
        });
      });
      killed[kill] += 1;
      const checked = round % EVERY === 0 || round === ROUNDS;
      if (checked) await check(service, database);
      const text = `${String(round)} crashes of ${String(ROUNDS)}, ${String(ledger.acknowledged)} changes acknowledged`;
      if (checked) progress.showMilestone(text);
      else progress.show(text);
    }
    await rotation?.finish();
    if (rotation) await check(service, database);
  } finally {
    await rotation?.close();
    await service.stop();
    await database.end();
    await embedded.stop();
    await workspace.end();
  }
  if (rotation) {
    const { first, retired } = rotation.counts;
    console.log(`Binding keys         ${String(first)} became the first, ${String(retired)} were retired`);
  }
  return report((performance.now() - began) / 1_000);
}

async function crashAndComeBack(
  service: ServiceProcess,
  kill: Kill,
  database: pg.Pool,
  start: () => Promise<ServiceProcess>,
  lifeMs: number,
): Promise<ServiceProcess> {
  await crash(service, kill, lifeMs);
  await answering(database);
  if (kill !== 'database') return start();
  await recovered(service);
  return service;
}

/** Kills under load. The callers go on until after the crash. */
async function crash(service: ServiceProcess, kill: Kill, lifeMs: number): Promise<void> {
  const load = new AbortController();
  const callers = Array.from({ length: CALLERS }, () => live(service, ledger, load.signal));
  const watching = [watchCheckpoints(service, seen, load.signal), receiver.receive(service, load.signal)];
  const warm = ledger.acknowledged + CALLERS;
  for (let waited = 0; ledger.acknowledged < warm && waited < WARM_MS; waited += 10) await sleep(10);
  await sleep(lifeMs + SHORTEST_MS + Math.random() * (LONGEST_MS - SHORTEST_MS));
  if (kill !== 'service') process.kill(postmaster(), 'SIGKILL');
  if (kill !== 'database') await service.kill();
  load.abort();
  await Promise.all([...callers, ...watching]);
}

function postmaster(): number {
  return Number.parseInt(readFileSync(join(dataDir, 'database/postgres/data/postmaster.pid'), 'utf8'), 10);
}

/** Waits until the database answers after its recovery. */
async function answering(database: pg.Pool): Promise<void> {
  await patiently(async () => (await database.query('SELECT 1').catch(() => undefined)) !== undefined);
}

/** Waits until the running service answers again. */
async function recovered({ client }: ServiceProcess): Promise<void> {
  await patiently(async () => (await client.call('auth-service', 'GET', '/v1/credentials?limit=1')).status === 200);
}

async function patiently(done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error('no answer within 30 s after the crash');
    await sleep(10);
  }
}

async function check(service: ServiceProcess, database: pg.Pool): Promise<void> {
  await sequenced(database);
  faults.push(...(await reconcile(database, ledger.lives)), ...ledger.faults.splice(0));
  faults.push(...(await receiver.check(service, database)));
  const { to, anchored } = await verifyLog(service, new Pki(join(dataDir, 'pki')), seen);
  if (anchored?.held !== seen.length)
    faults.push(`${String(anchored?.held)} of ${String(seen.length)} checkpoints match`);
  proved = to;
  checks += 1;
}

function report(seconds: number): boolean {
  progress.clear();
  const crashes = Object.entries(killed).map(([kill, count]) => `${kill} ${String(count)}`);
  console.log(`Crashes              ${crashes.join(', ')}, in ${seconds.toFixed(0)} s`);
  console.log(`Changes acknowledged ${String(ledger.acknowledged)}, of ${String(ledger.lives.length)} passkeys`);
  console.log(`Requests unanswered  ${String(ledger.unanswered)}`);
  console.log(
    `Checked              ${String(checks)} times; the log of ${String(proved)} events against ${String(seen.length)} checkpoints`,
  );
  console.log(`Signals received     ${String(receiver.received)}, of which ${String(receiver.repeats)} came again`);
  console.log(`Faults               ${String(faults.length)}`);
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  return faults.length === 0;
}

process.exit((await main()) ? 0 : 1);
