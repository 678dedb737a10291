/**
 * `npm run fuzz -- 100000` runs that many mutated ceremonies through the pure functions. They must refuse each by a reason of
 * the closed list, and memory must not grow. The program prints its seed; `npm run fuzz -- 100000 SEED` repeats a run.
 */
import fc from 'fast-check';
import { EXIT, type Program, readArguments } from '../commands/command-line.js';
import { createTargets } from '../test/support/mutated-ceremonies.js';
import { mutations } from '../test/support/mutations.js';

const PROGRAM: Program = {
  command: 'npm run fuzz --',
  usage: ['[COUNT [SEED]]'],
  about: 'Runs mutated ceremonies through the pure functions. They must refuse each one, and memory must not grow.',
  operands: {
    COUNT: 'The number of ceremonies; 100000 without it.',
    SEED: 'The seed of an earlier run, which this run repeats.',
  },
  options: {},
  examples: ['', '5000 42'],
  exitCodes: {
    [EXIT.done]: 'Every ceremony is refused.',
    [EXIT.failed]: 'A ceremony is accepted, or fails with an unknown error.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
};
const { operands } = readArguments(PROGRAM);
const count = Number(operands[0] ?? 100_000);
const seed = Number(operands[1] ?? Date.now() % 2 ** 31);
const BATCH = 500;

const outcomes: Record<string, number> = {};
const memory: number[] = [];
const all = await createTargets();
console.log(`${String(count)} mutated ceremonies over ${String(all.length)} targets, seed ${String(seed)}`);
for (let done = 0; done < count; done += BATCH) {
  const target = all[(done / BATCH) % all.length]!;
  for (const changes of fc.sample(mutations, { numRuns: BATCH, seed: seed + done })) {
    const outcome = await target.attack(changes);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome === 'ACCEPTED' || outcome === 'FAILED')
      console.log(`${target.name}: ${outcome} ${JSON.stringify(changes)}`);
  }
  if (done % 10_000 === 0) {
    globalThis.gc?.();
    memory.push(process.memoryUsage().heapUsed / 2 ** 20);
    console.log(`${String(done)} of ${String(count)}, heap ${memory.at(-1)!.toFixed(1)} MiB`);
  }
}
console.log(outcomes);
const bad = (outcomes['ACCEPTED'] ?? 0) + (outcomes['FAILED'] ?? 0);
process.exit(bad === 0 ? 0 : 1);
