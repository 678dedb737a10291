import { writeFileSync } from 'node:fs';
import pg from 'pg';
import { LagProbe } from '../growth/lag.js';
import type { Contestant, Measured } from '../measure/contestant.js';
import type { Options } from '../options.js';
import { type Conditions, described } from '../report/conditions.js';
import { linePlot } from '../report/line-plot.js';
import { keepJson, resultPath } from '../report/results.js';
import { AbandonedSignIns } from './abandoned.js';
import { panelsOf, soakTable, type Verdict, verdictsOf } from './soak-report.js';
import { tableSizes, walWritten } from './tables.js';

/** Seconds of the closed loop that finds the capacity. */
const CAPACITY_SECONDS = 10;
/** Abandoned sign-ins, as a part of the completed ones. */
const ABANDONED = 0.1;

/** The results of one stretch of the soak. */
export interface Sample {
  /** Seconds since the beginning, at the end of the stretch. */
  readonly at: number;
  readonly measured: Measured;
  /** Milliseconds. */
  readonly lag: { readonly median: number; readonly max: number };
  readonly tables: Awaited<ReturnType<typeof tableSizes>>;
  /** Bytes written in the stretch. */
  readonly wal: number;
}

/** Runs a constant load for a long time and measures it stretch by stretch. @returns true if everything stays flat */
export async function soak(
  contestant: Contestant,
  options: Options,
  on: Conditions,
  progress: (text: string) => void,
): Promise<boolean> {
  const share = options.shares[0] ?? 0.5;
  progress('measuring the capacity');
  const { perSecond } = await contestant.measure('authentication', { clients: 32 }, CAPACITY_SECONDS);
  const rate = perSecond * share;
  const samples = await sampled(contestant, { ...options, rate }, progress);
  progress('');
  const verdicts = verdictsOf(samples);
  const errors = samples.reduce((sum, { measured }) => sum + measured.errors, 0);
  const load = `${rate.toFixed(0)} authentications a second (${(share * 100).toFixed(0)} % of capacity) for ${String(options.minutes)} minutes, ${String(errors)} errors`;
  console.log([described(on), load, soakTable(samples), verdicts.map(told).join('\n')].join('\n\n'));
  console.log(await keepJson(on, '-soak', { options, rate, verdicts, samples }));
  const svg = resultPath(on, '-soak.svg');
  writeFileSync(svg, linePlot(panelsOf(samples), `${load}; commit ${on.commit}`));
  console.log(svg);
  return errors === 0 && verdicts.every(({ flat }) => flat);
}

async function sampled(
  contestant: Contestant,
  { minutes, every, rate }: { minutes: number; every: number; rate: number },
  progress: (text: string) => void,
): Promise<Sample[]> {
  const session = new pg.Client({ connectionString: contestant.site.databaseUrl });
  await session.connect();
  const lag = await LagProbe.start(contestant.site.databaseUrl);
  const abandoned = await AbandonedSignIns.start(contestant.running.target, rate * ABANDONED);
  const samples: Sample[] = [];
  const started = Date.now();
  const elapsed = (): number => (Date.now() - started) / 1_000;
  try {
    let wal = await walWritten(session);
    while (elapsed() < minutes * 60) {
      const measured = await contestant.measure('authentication', { perSecond: rate }, every);
      const written = await walWritten(session);
      const tables = await tableSizes(session);
      samples.push({ at: elapsed(), measured, lag: lag.take(), tables, wal: written - wal });
      wal = written;
      progress(`${(elapsed() / 60).toFixed(1)} of ${String(minutes)} minutes: ${lineOf(samples.at(-1)!)}`);
    }
  } finally {
    await abandoned.stop();
    await lag.stop();
    await session.end();
  }
  return samples;
}

const lineOf = ({ measured, lag }: Sample): string =>
  `${measured.perSecond.toFixed(0)}/s, p99 ${measured.p99.toFixed(1)} ms, ${measured.memory.service.toFixed(0)} MiB, lag ${lag.max.toFixed(0)} ms`;

const told = ({ name, early, late, flat }: Verdict): string =>
  `${flat ? 'flat  ' : '! GROWS'} ${name}: ${early} → ${late}`;
