import { writeFileSync } from 'node:fs';
import type { Contestant } from '../measure/contestant.js';
import type { Options } from '../options.js';
import { type Conditions, described } from '../report/conditions.js';
import { resultPath } from '../report/results.js';
import { breakdown, functionName, packageNames, type Share } from './breakdown.js';
import { type CpuProfile, Inspector, type ProfileNode } from './inspector.js';
import { threadSeconds } from './threads.js';

/** Microseconds between samples. */
const INTERVAL = 500;
const SHOWN = 40;

/** Shows where a ceremony spends its CPU: functions and packages by their own time, for one operation. */
export async function profileService(
  contestant: Contestant,
  { scenarios: [scenario = 'authentication'], clients: [clients = 32], seconds }: Options,
  on: Conditions,
  progress: (text: string) => void,
): Promise<void> {
  const { pid, debuggerUrl = '' } = contestant.running.server;
  const inspector = await Inspector.attach(debuggerUrl);
  progress(`profiling ${contestant.name}: ${scenario}, ${String(clients)} clients`);
  let profiling: Promise<CpuProfile> | undefined;
  let threads = new Map<string, number>();
  const take = async (): Promise<CpuProfile> => {
    await inspector.start(INTERVAL);
    const before = threadSeconds(pid);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000 - 1_500));
    const profile = await inspector.stop();
    threads = new Map(Array.from(threadSeconds(pid), ([name, used]) => [name, used - (before.get(name) ?? 0)]));
    return profile;
  };
  const measured = await contestant.measure(scenario, { clients }, seconds, () => (profiling = take()));
  const profile = await profiling!;
  progress('');
  const path = resultPath(on, '.cpuprofile');
  writeFileSync(path, JSON.stringify(profile));
  const operations = operationsDuring(profile, measured.completed, seconds);
  const threadShares = Array.from(threads, ([name, used]) => ({ name, self: used * 1e6 }));
  const shares = (nameOf: (node: ProfileNode) => string): Share[] =>
    ofCpu(breakdown(profile, nameOf), (threads.get('main thread') ?? NaN) * 1e6);
  console.log(
    [
      described(on),
      `${scenario}, ${String(clients)} clients: ${measured.perSecond.toFixed(0)} a second, ${(measured.cpu.service * 1_000).toFixed(0)} µs of CPU for one, with the profiler; ${String(measured.errors)} errors`,
      `By thread, µs\n${lines(threadShares, operations)}`,
      `By package, µs of the main thread\n${lines(shares(packageNames(profile)), operations)}`,
      `By function, µs of the main thread in itself\n${lines(shares(functionName), operations)}`,
      path,
    ].join('\n\n'),
  );
}

/** The profiler's start, the first sample's delta, stops the service: no operation runs in that time. */
function operationsDuring(
  { timeDeltas: [start = 0, ...deltas] }: CpuProfile,
  completed: number,
  seconds: number,
): number {
  const sampled = deltas.reduce((sum, delta) => sum + delta, 0) / 1e6;
  return (completed * sampled) / (seconds - start / 1e6);
}

/** The sampler also counts the time in which the thread waits for a core, so this scales the times to the used CPU. */
function ofCpu(shares: readonly Share[], used: number): Share[] {
  const busy = shares.filter(({ name }) => !name.startsWith('(idle)'));
  const sampled = busy.reduce((sum, { self }) => sum + self, 0);
  const scale = Number.isNaN(used) ? 1 : used / sampled;
  return busy.map(({ name, self }) => ({ name, self: self * scale }));
}

function lines(shares: readonly Share[], operations: number): string {
  return shares
    .slice(0, SHOWN)
    .map(({ name, self }) => `${(self / operations).toFixed(1).padStart(8)}  ${name}`)
    .join('\n');
}
