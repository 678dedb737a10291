import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../load/connection.js';
import { CEREMONY_STATEMENTS } from '../../test/support/ceremony-statements.js';
import type { Database } from '../measure/database.js';
import { ask, callerOf } from './ask.js';
import type { Grown } from './contestants.js';
import { LoadedUsers } from './loaded-users.js';
import { type Executed, explainFromNow, PlanLog } from './plan-log.js';
import { QUERIES } from './queries.js';

/** Milliseconds after the start in which the sequencer and the other background tasks run first. */
const BACKGROUND = 15_000;
/** PostgreSQL plans a prepared statement for its parameters five times, and may then keep one generic plan. */
const CEREMONIES = 12;
const TURNS = 3;

/** A request to the service, and what PostgreSQL reads for it at each size, in the order of the sizes. */
export interface Plan {
  readonly name: string;
  /** See `Query.combined`. */
  readonly combined: boolean;
  readonly sizes: readonly Reading[];
}

export interface Reading {
  /** Pages of the statement that read the most. */
  readonly pages: number;
  /** The largest table that the statement scanned whole. */
  readonly scan: { readonly table: string; readonly rows: number } | undefined;
}

/** Starts the service again on each size and lets PostgreSQL log the plans of the service's statements. */
export async function explainAll(
  grown: readonly Grown[],
  { log }: Database,
  progress: (text: string) => void,
): Promise<Plan[]> {
  if (log === undefined) return [];
  const bySize: Map<string, Executed[]>[] = [];
  for (const each of grown) {
    progress(`plans of ${each.contestant.name}`);
    bySize.push(await explain(each, new PlanLog(log)));
  }
  const names = [...new Set(bySize.flatMap((size) => [...size.keys()]))];
  const combined = new Set(QUERIES.filter((query) => query.combined).map(({ name }) => name));
  return names.map((name) => ({
    name,
    combined: combined.has(name),
    sizes: bySize.map((size) => readingOf(size.get(name) ?? [])),
  }));
}

async function explain({ contestant, population }: Grown, log: PlanLog): Promise<Map<string, Executed[]>> {
  const { site, contender, running } = contestant;
  await contestant.stop();
  rmSync(running.server.log);
  const stop = await explainFromNow(site.databaseUrl);
  const { server, target } = await contender.start(site);
  try {
    const executed = new Map<string, Executed[]>();
    await sleep(BACKGROUND);
    log.take().forEach((each) => {
      add(executed, `${nameOf(each.text)} (by itself)`, [each]);
    });
    const byItself = new Set([...executed.values()].flat().map(({ text }) => text));
    const take = (name: string): void => {
      add(
        executed,
        name,
        log.take().filter(({ text }) => !byItself.has(text)),
      );
    };
    for (const query of QUERIES) {
      const caller = await callerOf(query, target);
      for (let turn = 0; turn < TURNS; turn += 1) await ask(caller, query.path(population, turn));
      caller.close();
      take(query.name);
    }
    const connection = await Connection.open(target);
    const [users, { driver }] = [new LoadedUsers(population), contender];
    for (let n = 0; n < CEREMONIES; n += 1) {
      await driver.authenticate(connection, users.next(), true);
      await driver.authenticate(connection, users.next(), false);
      await driver.register(connection, users.newcomer());
    }
    connection.close();
    for (const each of log.take()) if (!byItself.has(each.text)) add(executed, nameOf(each.text), [each]);
    return executed;
  } finally {
    await server.stop();
    await stop();
  }
}

function add(executed: Map<string, Executed[]>, name: string, more: readonly Executed[]): void {
  executed.set(name, [...(executed.get(name) ?? []), ...more]);
}

/** Names a hot statement by its name, and any other by its beginning. */
function nameOf(text: string): string {
  const hot = CEREMONY_STATEMENTS.find(({ statement }) => statement.text === text);
  return (
    hot?.statement.name ??
    text
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/^SELECT .* FROM/g, 'SELECT … FROM')
      .slice(0, 70)
  );
}

function readingOf(executed: readonly Executed[]): Reading {
  const scans = executed.flatMap(({ scanned }) => scanned).sort((a, b) => b.rows - a.rows);
  return { pages: Math.max(0, ...executed.map(({ pages }) => pages)), scan: scans[0] };
}
