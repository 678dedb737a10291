import { setTimeout as sleep } from 'node:timers/promises';
import { RP_ID } from '../contenders/contender.js';
import type { Contestant, Measured } from '../measure/contestant.js';
import { memory } from '../measure/processes.js';
import type { Options } from '../options.js';
import { aligned } from '../report/aligned.js';
import { type Conditions, described } from '../report/conditions.js';
import { keepJson } from '../report/results.js';
import { movedLines } from './moved-lines.js';
import { measureSignals } from './signals.js';
import { type Streamed, streamLines } from './stream.js';

/** Sign-ins a second beside an import and an export: few, so that their latency tells of the waiting. */
const BESIDE = { perSecond: 50 };
const BESIDE_SECONDS = 10;
const SAMPLE_MS = 1_000;
/** Changes that a poller hears of. */
const CHANGES = 10_000;
const CHANGES_SECONDS = 60;

interface Moved extends Streamed {
  /** MiB of the service: the most in samples of a second. */
  readonly mostMemory: number;
  readonly beside: Measured;
}

/** Imports passkeys, exports them, and tells a receiver of changes. @returns true if all of it came through */
export async function measureMoves(
  contestant: Contestant,
  options: Options,
  on: Conditions,
  progress: (text: string) => void,
): Promise<boolean> {
  const { target, server } = contestant.running;
  const signIns = (): Promise<Measured> => contestant.measure('authentication', BESIDE, BESIDE_SECONDS);
  const count = options.sizes[0]!;
  const move = async (streaming: Promise<Streamed>): Promise<Moved> => {
    let [most, ended] = [0, false];
    const sampling = (async () => {
      while (!ended) {
        most = Math.max(most, memory(server.pid, 'Rss'));
        await sleep(SAMPLE_MS);
      }
    })();
    const [streamed, beside] = await Promise.all([streaming, signIns()]).finally(() => {
      ended = true;
    });
    await sampling;
    return { ...streamed, mostMemory: most, beside };
  };
  progress('signing in alone');
  const alone = await signIns();
  progress(`importing ${count.toLocaleString('en')} passkeys`);
  const path = `/v1/credentials/import?rpId=${RP_ID}`;
  const imported = await move(
    streamLines(target, { method: 'POST', path, identity: 'operator', lines: movedLines(count) }),
  );
  progress('exporting them');
  const exporting = { method: 'GET', path: `/v1/credentials/export?rpId=${RP_ID}`, identity: 'operator' } as const;
  const exported = await move(streamLines(target, exporting));
  progress(`telling a receiver of ${CHANGES.toLocaleString('en')} changes`);
  const signals = await measureSignals(target, Math.min(CHANGES, count), CHANGES_SECONDS);
  progress('');
  const row = (name: string, seconds: number, memory: number, { p50, p99 }: { p50: number; p99: number }): string[] => [
    name,
    seconds.toFixed(0),
    memory.toFixed(0),
    p50.toFixed(1),
    p99.toFixed(1),
  ];
  const rows = [
    ['', 'seconds', 'MiB of the service', 'p50 ms', 'p99 ms'],
    row('sign-ins alone', BESIDE_SECONDS, alone.memory.service, alone),
    row(
      `import of ${count.toLocaleString('en')}, sign-ins beside it`,
      imported.seconds,
      imported.mostMemory,
      imported.beside,
    ),
    row(
      `export of ${(exported.bytes / 1e6).toFixed(0)} MB, sign-ins beside it`,
      exported.seconds,
      exported.mostMemory,
      exported.beside,
    ),
    row(`${String(signals.changes)} changes, their signals`, signals.seconds, memory(server.pid, 'Rss'), signals),
  ];
  const { counts } = imported.summary as { counts: { imported: number } };
  console.log([described(on), aligned(rows)].join('\n\n'));
  console.log(await keepJson(on, '-moves', { options, alone, imported, exported, signals }));
  const mind = [
    ...(counts.imported === count ? [] : [`${String(counts.imported)} of ${String(count)} lines were imported`]),
    ...(signals.lost ? [`${String(signals.lost)} signals did not arrive`] : []),
  ];
  for (const line of mind) console.log(`! ${line}`);
  return mind.length === 0;
}
