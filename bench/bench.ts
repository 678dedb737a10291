/**
 * `npm run bench` measures ceremonies per second, latencies and CPU of this service, of others and of the floor under all of
 * them, in turn, in one run and on one PostgreSQL. README.md in this directory describes the method.
 */
import { join } from 'node:path';
import { HERE } from './contenders/checkout.js';
import { ProgressLine } from '../commands/command-line.js';
import { measureGrowth } from './growth/growth.js';
import { showBytes } from './measure/bytes.js';
import { measureAll } from './measure/cells.js';
import { Contestant } from './measure/contestant.js';
import { type Database, startDatabase } from './measure/database.js';
import { pinNothing } from './measure/placement.js';
import { settle } from './measure/storage.js';
import { type Options, readOptions } from './options.js';
import { installPeers } from './peers.js';
import { profileService } from './profile/profile.js';
import { measureMoves } from './moving/moving.js';
import { conditions, described } from './report/conditions.js';
import { findings, told } from './report/findings.js';
import { keepResults } from './report/results.js';
import { soak } from './soak/soak.js';
import { Workspace } from '../tools/workspace.js';
import { computeRatios, ratioTable } from './report/ratios.js';
import { table, warnings } from './report/table.js';

/** Seconds of unmeasured load, in which code becomes machine code. */
const WARM_UP = 3;
/** What Node.js takes by itself in a container of 1 GiB, such as that of the chart. The heap grows more slowly towards it. */
const HEAP = '--max-old-space-size=512';

const options = readOptions(process.argv.slice(2));
const workspace = new Workspace('bench', undefined, stopAll);
const { directory } = workspace;
const stops: (() => Promise<void> | void)[] = [];

let stopping: Promise<void> | undefined;

/** Stops everything once and waits for it, after a signal, the end of the run, or both. */
function stopAll(): Promise<void> {
  const all = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await workspace.end();
  };
  return (stopping ??= all());
}

const line = new ProgressLine();

function progress(text: string): void {
  if (text) line.showMilestone(text);
  else line.clear();
}

async function startContestants(options: Options, database: Database): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  const nodeOptions = options.profile ? ['--inspect=127.0.0.1:0'] : options.moves ? [HEAP] : [];
  for (const name of options.contenders) {
    progress(`starting ${name}, enrolling ${String(options.users)} users`);
    const checkout = (name === 'before' ? options.against : undefined) ?? HERE;
    const start = { directory, users: options.users, nodeOptions, checkout };
    const contestant = await Contestant.start(name, database, start);
    stops.push(() => contestant.stop());
    await contestant.enrol();
    await contestant.measure('authentication', { clients: 32 }, WARM_UP);
    await settle(contestant.site.databaseUrl);
    contestants.push(contestant);
  }
  return contestants;
}

/** @returns true if the figures are valid */
async function compare(options: Options, database: Database, contestants: Contestant[]): Promise<boolean> {
  const on = conditions(directory, database.version, options.against);
  const cells = await measureAll(contestants, options, progress);
  progress('');
  const found = findings(cells);
  const mind = warnings(cells);
  const ratios = options.against ? computeRatios(cells) : [];
  const parts = [described(on), table(cells), ...(options.against ? [ratioTable(ratios)] : []), told(found)];
  console.log([...parts, ...mind.map((line) => `! ${line}`)].join('\n\n'));
  for (const path of await keepResults(on, options, { findings: found, ratios, cells })) console.log(path);
  return !mind.some((line) => line.includes('ERRORS'));
}

async function main(): Promise<boolean> {
  if (options.workers) pinNothing();
  progress('installing the other contenders');
  installPeers(options.contenders);
  progress('starting PostgreSQL');
  const database = await startDatabase(join(directory, 'database'));
  stops.push(() => database.stop());
  if (options.bytes) {
    progress('counting the bytes of authentications');
    await showBytes(database, directory);
    return true;
  }
  if (options.growth) return measureGrowth(options, { database, directory, progress, stops });
  const contestants = await startContestants(options, database);
  if (options.moves) return measureMoves(contestants[0]!, options, conditions(directory, database.version), progress);
  if (options.soak) return soak(contestants[0]!, options, conditions(directory, database.version), progress);
  if (!options.profile) return compare(options, database, contestants);
  await profileService(contestants[0]!, options, conditions(directory, database.version), progress);
  return true;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  await stopAll();
}
