import { performance } from 'node:perf_hooks';
import { median } from '../load/latency.js';
import { Connection, type Target } from '../load/connection.js';
import type { Grown } from './contestants.js';
import { QUERIES, type Query } from './queries.js';

const TURNS = 15;

/** The time of a query at each size, in the order of the sizes: milliseconds, or the reason of its failure. */
export interface Asked {
  readonly name: string;
  readonly ms: readonly (number | string)[];
}

/** Sends each query repeatedly, one at a time, to the sizes in turn. */
export async function askAll(grown: readonly Grown[], progress: (text: string) => void): Promise<Asked[]> {
  const all: Asked[] = [];
  for (const query of QUERIES) {
    progress(`querying ${query.name}`);
    all.push({ name: query.name, ms: await askInTurn(grown, query) });
  }
  return all;
}

async function askInTurn(grown: readonly Grown[], query: Query): Promise<(number | string)[]> {
  const callers = await Promise.all(grown.map(({ contestant: { running } }) => callerOf(query, running.target)));
  const times: number[][] = grown.map(() => []);
  const failures: string[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [size, { population }] of grown.entries()) {
      if (failures[size] !== undefined) continue;
      const started = performance.now();
      const failure = await ask(callers[size]!, query.path(population, turn));
      if (failure === undefined) times[size]!.push(performance.now() - started);
      else failures[size] = failure;
    }
  }
  for (const caller of callers) caller.close();
  return times.map((each, size) => failures[size] ?? median(each));
}

/** Opens a connection for one query, because the service closes a connection that waits for its turn. */
export function callerOf({ identity }: Query, target: Target): Promise<Connection> {
  return Connection.open({ ...target, identity });
}

/** @returns the reason why there was no answer; undefined after an answer */
export async function ask(caller: Connection, path: string): Promise<string | undefined> {
  try {
    await caller.read(path);
    return undefined;
  } catch (error) {
    return String(error);
  }
}
