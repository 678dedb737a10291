/**
 * `npm run failover` takes the primary away from a running service again and again, under load: by a switchover, by killing the
 * server, by killing its whole machine. Patroni promotes the synchronous standby, HAProxy leads to it, and sign-ins must go on
 * soon after it takes writes; three seconds is the aim. At the end no acknowledged change may be missing, and the log must fit every
 * checkpoint that the service answered. It needs Patroni, etcd, HAProxy and PostgreSQL as Debian has them, and no network.
 */
import { chmodSync, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { EXIT, type Program, ProgressLine, readArguments, reportUsage } from '../../commands/command-line.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceProcess } from '../../test/support/service-process.js';
import { Ledger } from '../crashes/ledger.js';
import { live, watchCheckpoints } from '../crashes/load.js';
import { sequenced, verifyLog } from '../crashes/log-check.js';
import { reconcile } from '../crashes/reconcile.js';
import { Cluster, type Node } from './cluster.js';
import { prepare } from './prepare.js';
import { MEMORY, Workspace } from '../workspace.js';

const BINARIES = '/usr/lib/postgresql/15/bin';
const PROGRAM = {
  command: 'npm run failover --',
  usage: ['[--rounds N] [--binaries DIRECTORY]'],
  about: 'Takes the primary away from a running service, and measures when sign-ins go on.',
  options: {
    rounds: { value: 'N', text: 'The number of failovers; 20 without it.' },
    binaries: { value: 'DIRECTORY', text: `The programs of PostgreSQL 15 or later; ${BINARIES} without it.` },
  },
  examples: ['', '--rounds 3'],
  exitCodes: {
    [EXIT.done]: 'No acknowledged change is lost. How soon sign-ins go on is shown, and depends on the machine.',
    [EXIT.failed]: 'A change is lost, or the cluster failed.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a program is missing.',
  },
} as const satisfies Program;
const { rounds = '20', binaries = BINARIES } = readArguments(PROGRAM).values;
const ROUNDS = Number(rounds);
const CALLERS = 8;
/** The time of load before each failover. */
const CALM_MS = 3_000;
const PATIENCE_MS = 60_000;
const MOST_SECONDS = 3;

const KINDS = ['switchover', 'server killed', 'machine killed'] as const;
type Kind = (typeof KINDS)[number];

interface Failover {
  readonly kind: Kind;
  /** Seconds from the failover until another primary has committed a write. */
  readonly promoted: number;
  /** Seconds from then until the next acknowledged sign-in or change. */
  readonly wentOn: number;
  /** Requests that were not acknowledged. */
  readonly unanswered: number;
}

const progress = new ProgressLine();
const ledger = new Ledger();
const seen: string[] = [];
const failovers: Failover[] = [];

async function main(): Promise<boolean> {
  const workspace = new Workspace('failover', MEMORY);
  const { directory: home } = workspace;
  // The account of the servers passes through it to its own directories.
  chmodSync(home, 0o711);
  let service: ServiceProcess | undefined;
  let cluster: Cluster | undefined;
  const stop = async (): Promise<void> => {
    await service?.stop();
    await cluster?.stop();
    await workspace.end();
  };
  try {
    progress.show('the cluster starts');
    cluster = await Cluster.start(home, binaries);
    await prepare(cluster);
    const dataDir = join(home, 'service');
    service = await ServiceProcess.start(dataDir, cluster.url('passkey_manager'));
    const faults = await failOver(service, cluster, dataDir);
    progress.clear();
    return report(faults);
  } catch (error) {
    progress.clear();
    throw new Error(`the cluster's last words:\n${cluster?.lastWords ?? ''}`, { cause: error });
  } finally {
    await stop();
  }
}

/** @returns what is wrong at the end */
async function failOver(service: ServiceProcess, cluster: Cluster, dataDir: string): Promise<string[]> {
  const load = new AbortController();
  const callers = Array.from({ length: CALLERS }, () => live(service, ledger, load.signal));
  const watching = watchCheckpoints(service, seen, load.signal);
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const kind = KINDS[round % KINDS.length]!;
      progress.show(`${String(round + 1)} of ${String(ROUNDS)}: ${kind}, ${String(ledger.acknowledged)} acknowledged`);
      await sleep(CALM_MS);
      failovers.push(await measure(kind, cluster));
      await cluster.repair();
    }
    await sleep(CALM_MS);
  } finally {
    load.abort();
    await Promise.all([...callers, watching]);
  }
  progress.show('comparing what is there with what was acknowledged');
  return compare(service, cluster, dataDir);
}

async function measure(kind: Kind, cluster: Cluster): Promise<Failover> {
  const primary = await cluster.findPrimary();
  const [before, began] = [ledger.unanswered, performance.now()];
  await TAKE_AWAY[kind](cluster, primary);
  const promoted = await cluster.untilPromoted(primary);
  const acknowledged = ledger.acknowledged;
  while (ledger.acknowledged === acknowledged) {
    if (performance.now() - promoted > PATIENCE_MS) throw new Error(`${kind}: no sign-in within a minute`);
    await sleep(5);
  }
  return {
    kind,
    promoted: (promoted - began) / 1_000,
    wentOn: (performance.now() - promoted) / 1_000,
    unanswered: ledger.unanswered - before,
  };
}

const TAKE_AWAY: Readonly<Record<Kind, (cluster: Cluster, primary: Node) => Promise<void>>> = {
  switchover: (cluster, primary) => cluster.switchOver(primary),
  'server killed': async (cluster, primary) => {
    cluster.killServer(primary);
    return Promise.resolve();
  },
  'machine killed': async (cluster, primary) => {
    cluster.killMachine(primary);
    return Promise.resolve();
  },
};

async function compare(service: ServiceProcess, cluster: Cluster, dataDir: string): Promise<string[]> {
  const database = new pg.Pool({ connectionString: cluster.url('postgres'), max: 2 }).on('error', () => undefined);
  try {
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

function report(faults: readonly string[]): boolean {
  console.log('                 times   another primary after   sign-ins go on after   unanswered');
  for (const kind of KINDS) {
    const of = failovers.filter((failover) => failover.kind === kind);
    if (of.length === 0) continue;
    const range = (seconds: readonly number[]): string =>
      `${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)} s`;
    const unanswered = of.reduce((sum, failover) => sum + failover.unanswered, 0);
    const columns = [
      kind.padEnd(15),
      String(of.length).padStart(7),
      range(of.map(({ promoted }) => promoted)).padStart(24),
      range(of.map(({ wentOn }) => wentOn)).padStart(23),
      String(unanswered).padStart(13),
    ];
    console.log(columns.join(''));
  }
  const late = failovers.filter(({ wentOn }) => wentOn > MOST_SECONDS);
  console.log(
    `\nAcknowledged     ${String(ledger.acknowledged)} changes and sign-ins, of ${String(ledger.lives.length)} passkeys`,
  );
  console.log(`Checked          every row with its events, the log against ${String(seen.length)} checkpoints`);
  console.log(
    `Too late         ${String(late.length)} of ${String(failovers.length)} (more than ${String(MOST_SECONDS)} s)`,
  );
  console.log(`Faults           ${String(faults.length)}`);
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  return faults.length === 0;
}

function findMissing(): string[] {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const programs = ['etcd', 'patroni', 'haproxy'].filter(
    (name) => !directories.some((path) => existsSync(join(path, name))),
  );
  return existsSync(join(binaries, 'pg_rewind')) ? programs : [...programs, `pg_rewind in ${binaries}`];
}

if (!/^[1-9]\d{0,3}$/.test(rounds) || findMissing().length > 0) {
  reportUsage(
    PROGRAM,
    findMissing().length > 0 ? `This machine lacks: ${findMissing().join(', ')}.` : '--rounds is wrong.',
  );
  process.exit(EXIT.couldNotRun);
}
process.exit((await main()) ? EXIT.done : EXIT.failed);
