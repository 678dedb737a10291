import type { Scenario } from '../load/scenarios.js';
import { measureAll } from '../measure/cells.js';
import type { Database } from '../measure/database.js';
import type { Options } from '../options.js';
import { conditions, described } from '../report/conditions.js';
import { keepJson } from '../report/results.js';
import { table, warnings } from '../report/table.js';
import { type Grown, grow, makeTemplates } from './contestants.js';
import { demandRoom } from './disk.js';
import { LagProbe } from './lag.js';
import { askAll } from './ask.js';
import { explainAll } from './explain.js';
import { findings, growthTable, verdicts } from './growth-report.js';

const SCENARIOS: readonly Scenario[] = ['authentication', 'discoverable'];
/** Seconds of unmeasured load. */
const WARM_UP = 5;

interface Place {
  readonly database: Database;
  readonly directory: string;
  readonly progress: (text: string) => void;
  /** Collects what the end of the run must stop. */
  readonly stops: (() => Promise<void> | void)[];
}

/** Measures the service with more and more data: all sizes in turn, round by round. @returns true if it holds */
export async function measureGrowth(options: Options, place: Place): Promise<boolean> {
  const { database, directory, progress } = place;
  demandRoom(directory, options.sizes);
  progress('writing the template events');
  const templates = await makeTemplates(database, directory);
  const grown: Grown[] = [];
  for (const size of options.sizes) {
    const each = await grow(size, templates, place, progress);
    place.stops.push(() => each.contestant.stop());
    console.log(`${size.toLocaleString('en')} credentials and events loaded in ${each.loadSeconds.toFixed(0)} s`);
    grown.push(each);
  }
  const cells = await underLoad(grown, options, progress);
  const lag = cells.lag;
  const asked = await askAll(grown, progress);
  const plans = await explainAll(grown, database, progress);
  progress('');
  const on = conditions(directory, database.version);
  const result = { cells: cells.cells, lag, asked, plans };
  const found = findings(grown, result);
  const mind = [...warnings(cells.cells), ...verdicts(grown, result)];
  console.log(
    [described(on), table(cells.cells), growthTable(grown, result), ...mind.map((line) => `! ${line}`)].join('\n\n'),
  );
  console.log(
    await keepJson(on, '-growth', {
      options,
      findings: found,
      loadSeconds: grown.map((each) => each.loadSeconds),
      ...result,
    }),
  );
  return mind.length === 0;
}

async function underLoad(
  grown: readonly Grown[],
  options: Options,
  progress: (text: string) => void,
): Promise<{ cells: Awaited<ReturnType<typeof measureAll>>; lag: { median: number; max: number }[] }> {
  const contestants = grown.map(({ contestant }) => contestant);
  for (const contestant of contestants) {
    progress(`warming up ${contestant.name}`);
    await contestant.measure('authentication', { clients: 32 }, WARM_UP);
  }
  const probes = await Promise.all(contestants.map(({ site }) => LagProbe.start(site.databaseUrl)));
  try {
    const loads = { ...options, scenarios: SCENARIOS, thorough: SCENARIOS, clients: [32], shares: [0.5] };
    const cells = await measureAll(contestants, loads, progress);
    return { cells, lag: probes.map((probe) => probe.take()) };
  } finally {
    for (const probe of probes) await probe.stop();
  }
}
