/**
 * `npm run lost-nodes` takes the nodes of a Citus cluster away from a running service again and again, under load: it kills a
 * worker or the coordinator, shuts one down, lets one hang, and moves the tables. Every request must be answered as on one
 * server, or 503 with Retry-After. At the end no acknowledged change may be missing, no transaction may be prepared, and the log
 * must fit every checkpoint that the service answered. It needs a PostgreSQL with the extension, and no network.
 */
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { EXIT, type Program, ProgressLine, readArguments, reportUsage } from '../../commands/command-line.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceProcess } from '../../test/support/service-process.js';
import { Ledger } from '../crashes/ledger.js';
import { live, watchCheckpoints } from '../crashes/load.js';
import { sequenced, verifyLog } from '../crashes/log-check.js';
import { reconcile } from '../crashes/reconcile.js';
import { MEMORY, Workspace } from '../workspace.js';
import { CitusCluster, type CitusNode } from './citus-cluster.js';
import { prepareEmpty, runAsMigrator } from './prepare.js';
import { patiently } from './servers.js';

const BINARIES = '/usr/lib/postgresql/15/bin';
const PROGRAM = {
  command: 'npm run lost-nodes --',
  usage: ['[--rounds N] [--binaries DIRECTORY]'],
  about:
    'Takes the nodes of a Citus cluster away from a running service, and compares the rest with what was acknowledged.',
  options: {
    rounds: { value: 'N', text: 'The number of losses; 14 without it.' },
    binaries: { value: 'DIRECTORY', text: `The programs of a PostgreSQL that has Citus; ${BINARIES} without it.` },
  },
  examples: ['', '--rounds 7'],
  exitCodes: {
    [EXIT.done]: 'No acknowledged change is lost, and every other request was answered 503 with Retry-After.',
    [EXIT.failed]: 'A change is lost, a request was answered otherwise, or the cluster failed.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or PostgreSQL or Citus is missing.',
  },
} as const satisfies Program;
const { rounds = '14', binaries = BINARIES } = readArguments(PROGRAM).values;
const CALLERS = 8;
/** The time of load before each loss, and while a node is lost. A node that hangs is noticed after the longest statement. */
const [CALM_MS, LOST_MS, HANGING_MS] = [3_000, 4_000, 15_000];

interface Loss {
  /** The status of readiness shortly before the node is there again. */
  readonly ready: number;
  /** Seconds from the time at which all nodes serve until the next acknowledged sign-in or change. */
  readonly wentOn: number;
  /** Requests that were answered 503. */
  readonly unavailable: number;
}

/** Waits while a node is lost. */
type Lost = (milliseconds?: number) => Promise<void>;

const progress = new ProgressLine();
const ledger = new Ledger();
const seen: string[] = [];

async function main(): Promise<boolean> {
  const workspace = new Workspace('lost-nodes', MEMORY);
  const { directory: home } = workspace;
  // The account of the servers passes through it to its own directories.
  chmodSync(home, 0o711);
  let service: ServiceProcess | undefined;
  let cluster: CitusCluster | undefined;
  try {
    progress.show('the cluster starts');
    cluster = await CitusCluster.start(home, binaries);
    await prepareEmpty(cluster);
    await runAsMigrator(cluster, 'distribute.js');
    const dataDir = join(home, 'service');
    service = await ServiceProcess.start(dataDir, cluster.url('passkey_manager'));
    const losses = await lose(service, cluster);
    progress.show('comparing what is there with what was acknowledged');
    const faults = await compare(service, cluster, dataDir);
    progress.clear();
    return report(losses, faults);
  } catch (error) {
    progress.clear();
    throw new Error(`the service's last words:\n${service?.lastWords ?? ''}`, { cause: error });
  } finally {
    await service?.stop();
    await cluster?.stop();
    await workspace.end();
  }
}

const KINDS: Readonly<Record<string, (cluster: CitusCluster, lost: Lost) => Promise<void>>> = {
  'worker with the tables killed': async (cluster, lost) => kill(cluster, (await cluster.findTables())[0], lost),
  'other worker killed': async (cluster, lost) => kill(cluster, (await cluster.findTables())[1], lost),
  'coordinator killed': (cluster, lost) => kill(cluster, cluster.coordinator, lost),
  'worker with the tables shut down': async (cluster, lost) => {
    const [holder] = await cluster.findTables();
    await cluster.shutDown(holder);
    await lost();
    await cluster.begin(holder);
  },
  'worker with the tables hangs': async (cluster, lost) => hang(cluster, (await cluster.findTables())[0], lost),
  'other worker hangs': async (cluster, lost) => hang(cluster, (await cluster.findTables())[1], lost),
  'tables moved': async (cluster, lost) => {
    await Promise.all([cluster.moveTables(), lost()]);
  },
};

async function kill(cluster: CitusCluster, node: CitusNode, lost: Lost): Promise<void> {
  cluster.signal(node, 'SIGKILL');
  await lost();
  await cluster.begin(node);
}

async function hang(cluster: CitusCluster, node: CitusNode, lost: Lost): Promise<void> {
  cluster.signal(node, 'SIGSTOP');
  await lost(HANGING_MS);
  cluster.signal(node, 'SIGCONT');
}

async function lose(service: ServiceProcess, cluster: CitusCluster): Promise<ReadonlyMap<string, readonly Loss[]>> {
  const losses = new Map<string, Loss[]>();
  const load = new AbortController();
  const callers = Array.from({ length: CALLERS }, () => live(service, ledger, load.signal));
  const watching = watchCheckpoints(service, seen, load.signal);
  try {
    for (let round = 0; round < Number(rounds); round += 1) {
      const [kind, take] = Object.entries(KINDS)[round % Object.keys(KINDS).length]!;
      progress.show(`${String(round + 1)} of ${rounds}: ${kind}, ${String(ledger.acknowledged)} acknowledged`);
      await sleep(CALM_MS);
      losses.set(kind, [...(losses.get(kind) ?? []), await measure(service, (lost) => take(cluster, lost))]);
    }
    await sleep(CALM_MS);
  } finally {
    load.abort();
    await Promise.all([...callers, watching]);
  }
  return losses;
}

async function measure({ managementUrl }: ServiceProcess, take: (lost: Lost) => Promise<void>): Promise<Loss> {
  const before = ledger.unanswered;
  let ready = 0;
  await take(async (milliseconds = LOST_MS) => {
    await sleep(milliseconds);
    ready = (await fetch(`${managementUrl}/health/ready`)).status;
  });
  const [serving, acknowledged] = [performance.now(), ledger.acknowledged];
  await patiently('a sign-in or change', () => Promise.resolve(ledger.acknowledged > acknowledged || undefined));
  return { ready, wentOn: (performance.now() - serving) / 1_000, unavailable: ledger.unanswered - before };
}

/** @returns what is wrong at the end */
async function compare(service: ServiceProcess, cluster: CitusCluster, dataDir: string): Promise<string[]> {
  const database = new pg.Pool({ connectionString: cluster.url('postgres'), max: 2 }).on('error', () => undefined);
  try {
    await patiently('a transaction stays prepared', async () => (await cluster.countPrepared()) === 0 || undefined);
    await sequenced(database);
    const faults = [...(await reconcile(database, ledger.lives)), ...ledger.faults];
    const { anchored } = await verifyLog(service, new Pki(join(dataDir, 'pki')), seen);
    if (anchored?.held !== seen.length)
      faults.push(`${String(anchored?.held)} of ${String(seen.length)} checkpoints match`);
    return faults;
  } finally {
    await database.end();
  }
}

function report(losses: ReadonlyMap<string, readonly Loss[]>, faults: readonly string[]): boolean {
  console.log('                                   times   readiness   503    goes on after');
  for (const [kind, of] of losses) {
    const seconds = of.map(({ wentOn }) => wentOn);
    const columns = [
      kind.padEnd(32),
      String(of.length).padStart(8),
      [...new Set(of.map(({ ready }) => ready))].join('/').padStart(12),
      String(of.reduce((sum, { unavailable }) => sum + unavailable, 0)).padStart(6),
      `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s`.padStart(17),
    ];
    console.log(columns.join(''));
  }
  console.log(
    `\nAcknowledged     ${String(ledger.acknowledged)} changes and sign-ins, of ${String(ledger.lives.length)} passkeys`,
  );
  console.log(`Checked          every row with its events, the log against ${String(seen.length)} checkpoints`);
  console.log(`Faults           ${String(faults.length)}`);
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  return faults.length === 0;
}

function findMissing(): string[] {
  return [join(binaries, 'initdb'), join(binaries, '../lib/citus.so')].filter((path) => !existsSync(path));
}

if (!/^[1-9]\d{0,3}$/.test(rounds) || findMissing().length > 0) {
  reportUsage(
    PROGRAM,
    findMissing().length > 0 ? `This machine lacks: ${findMissing().join(', ')}.` : '--rounds is wrong.',
  );
  process.exitCode = EXIT.couldNotRun;
} else process.exitCode = (await main()) ? EXIT.done : EXIT.failed;
