/**
 * `npm run fuzz -- 100000` runs that many mutated ceremonies through the pure functions, and as many payments. They must
 * refuse each by a reason of the closed list, and memory must not grow. The program prints its seed; `npm run fuzz -- 100000
 * SEED` repeats a run.
 */
import fc from 'fast-check';
import { EXIT, type Program, readArguments } from '../commands/command-line.js';
import { createTargets, type Target } from '../test/support/mutated-ceremonies.js';
import { createPaymentTargets } from '../test/support/mutated-payments.js';

const PROGRAM = {
  command: 'npm run fuzz --',
  usage: ['[--section SECTION] [COUNT [SEED]]'],
  about:
    'Runs mutated ceremonies and payments through the pure functions. They must refuse each one, and memory must not grow.',
  operands: {
    COUNT: 'The number of mutations of each section; 100000 without it.',
    SEED: 'The seed of an earlier run, which this run repeats.',
  },
  options: {
    section: { value: 'SECTION', text: 'Runs this section only: ceremonies or payment.' },
  },
  examples: ['', '5000 42', '--section payment 100000'],
  exitCodes: {
    [EXIT.done]: 'Every ceremony is refused.',
    [EXIT.failed]: 'A ceremony is accepted, or fails with an unknown error.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { operands, values } = readArguments(PROGRAM);
const count = Number(operands[0] ?? 100_000);
const seed = Number(operands[1] ?? Date.now() % 2 ** 31);
const BATCH = 500;

const SECTIONS: Record<string, () => Target[] | Promise<Target[]>> = {
  ceremonies: createTargets,
  payment: createPaymentTargets,
};
const chosen = Object.entries(SECTIONS).filter(([name]) => values.section === undefined || values.section === name);
if (chosen.length === 0) {
  console.error(`There is no section ${values.section ?? ''}: ${Object.keys(SECTIONS).join(' or ')}.`);
  process.exit(EXIT.couldNotRun);
}

let bad = 0;
for (const [name, create] of chosen) bad += await attackTargets(name, await create());
process.exit(bad === 0 ? EXIT.done : EXIT.failed);

/** @returns the number of attacks that succeed or fail with an unknown error */
async function attackTargets(section: string, targets: Target[]): Promise<number> {
  const outcomes: Record<string, number> = {};
  console.log(`${section}: ${String(count)} mutations over ${String(targets.length)} targets, seed ${String(seed)}`);
  for (let done = 0; done < count; done += BATCH) {
    const target = targets[(done / BATCH) % targets.length]!;
    for (const attack of fc.sample(target.attacks, { numRuns: Math.min(BATCH, count - done), seed: seed + done })) {
      const outcome = await attack.run();
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome === 'ACCEPTED' || outcome === 'FAILED')
        console.log(`${target.name}: ${outcome} ${JSON.stringify(attack.changes)}`);
    }
    if (done % 10_000 === 0) {
      globalThis.gc?.();
      const heap = process.memoryUsage().heapUsed / 2 ** 20;
      console.log(`${String(done)} of ${String(count)}, heap ${heap.toFixed(1)} MiB`);
    }
  }
  console.log(outcomes);
  return (outcomes['ACCEPTED'] ?? 0) + (outcomes['FAILED'] ?? 0);
}
