import type { Load } from '../load/generator.js';
import { median } from '../load/latency.js';
import type { Scenario } from '../load/scenarios.js';
import type { Options } from '../options.js';
import type { Contestant, Measured } from './contestant.js';
import { measureStorage } from './storage.js';

/** One line of the table: all rounds of one contender under one load. */
export interface Cell {
  readonly scenario: Scenario;
  /** The clients of a closed loop, or the offered share of the contender's own capacity. */
  readonly load: { readonly clients: number } | { readonly share: number };
  readonly contender: string;
  readonly rounds: readonly Measured[];
}

type Step = Pick<Cell, 'scenario' | 'load'>;

/**
 * Runs each load on all contenders in turn, round by round, so that other work of the machine affects all alike. In the open
 * loops `service` bears the load of `before`, if that takes part, so that their latencies belong to the same load.
 */
export async function measureAll(
  contestants: readonly Contestant[],
  options: Options,
  progress: (text: string) => void,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const capacityOf = (scenario: Scenario, { name }: Contestant): number => {
    const paired = name === 'service' && contestants.some((each) => each.name === 'before');
    return capacity(cells, scenario, paired ? 'before' : name);
  };
  for (const step of stepsOf(options)) {
    const taking = contestants.filter(({ contender }) => contender.scenarios.includes(step.scenario));
    const rounds = new Map<Contestant, Measured[]>(taking.map((each) => [each, []]));
    for (let round = 0; round < options.rounds; round += 1) {
      for (const contestant of rotated(taking, round)) {
        const load = loadOf(step, () => capacityOf(step.scenario, contestant));
        progress(`${nameOf(step)}, round ${String(round + 1)} of ${String(options.rounds)}: ${contestant.name}`);
        const measure = (): Promise<Measured> => contestant.measure(step.scenario, load, options.seconds);
        const measured = options.growth ? measure() : measureStorage(contestant.site.databaseUrl, measure);
        rounds.get(contestant)!.push(await measured);
      }
    }
    cells.push(...Array.from(rounds, ([{ name }, measured]) => ({ ...step, contender: name, rounds: measured })));
  }
  return cells;
}

/** Runs closed loops first, because they find the capacity for the open ones. */
function stepsOf({ scenarios, thorough, clients, shares }: Options): Step[] {
  return scenarios.flatMap((scenario) => {
    if (!thorough.includes(scenario)) return [{ scenario, load: { clients: 32 } }];
    return [
      ...clients.map((count) => ({ scenario, load: { clients: count } })),
      ...shares.map((share) => ({ scenario, load: { share } })),
    ];
  });
}

function loadOf({ load }: Step, capacityOf: () => number): Load {
  return 'clients' in load ? load : { perSecond: load.share * capacityOf() };
}

/** Returns the operations per second of the contender's best closed loop. */
export function capacity(cells: readonly Cell[], scenario: Scenario, contender: string): number {
  const closed = cells.filter(
    (cell) => cell.scenario === scenario && cell.contender === contender && 'clients' in cell.load,
  );
  return Math.max(...closed.map((cell) => typical(cell, ({ perSecond }) => perSecond)));
}

/** Returns the median over the rounds of a cell. */
export function typical({ rounds }: Cell, of: (measured: Measured) => number): number {
  return median(rounds.map(of));
}

/** Returns the bytes that an operation stores, over all rounds, because files grow by many pages at once. */
export function bytesStored({ rounds }: Cell, kind: 'disk' | 'wal'): number {
  const sum = (value: (round: Measured) => number): number => rounds.reduce((total, round) => total + value(round), 0);
  return sum(({ storage }) => storage?.[kind] ?? NaN) / sum(({ storage }) => storage?.operations ?? NaN);
}

export function nameOf({ scenario, load }: Step): string {
  const text = 'clients' in load ? `${String(load.clients)} clients` : `${String(load.share * 100)} % of capacity`;
  return `${scenario}, ${text}`;
}

const rotated = <Element>(list: readonly Element[], by: number): Element[] => {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
};
