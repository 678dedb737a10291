import pg from 'pg';
import { dropIndexes } from './indexes.js';
import { loadCredentials } from './load-credentials.js';
import { loadEvents } from './load-events.js';
import type { Population } from './population.js';
import type { Template } from './templates.js';

/** Milliseconds between two lines of progress. */
const PAUSE = 2_000;

/** The input of the loader: a migrated, unused database, and the directory with the service's keys. */
export interface Site {
  readonly databaseUrl: string;
  readonly directory: string;
}

/** Fills a database as a service would have in the population's time. Indexes and statistics come at the end. */
export async function load(
  { databaseUrl, directory }: Site,
  population: Population,
  templates: readonly Template[],
  progress: (text: string) => void,
): Promise<void> {
  const session = new pg.Client({ connectionString: databaseUrl });
  await session.connect();
  const shown = (what: string): ((done: number) => void) => counted(what, population.size, progress);
  try {
    await session.query(`SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'`);
    await backdatePartitions(session, new Date(population.since));
    const restore = await dropIndexes(session);
    await loadCredentials(session, population, directory, shown('credentials'));
    await loadEvents(session, population, templates, directory, shown('audit events'));
    for (const [index, make] of restore.entries()) {
      progress(`${size(population)}: index ${String(index + 1)} of ${String(restore.length)}`);
      await make();
    }
    progress(`${size(population)}: VACUUM (ANALYZE)`);
    await session.query('VACUUM (ANALYZE)');
    await session.query('CHECKPOINT');
  } finally {
    await session.end();
  }
}

/**
 * Makes the months of a service that began then: its first partition ends with its first month. The events of the
 * migrations go, because none is sequenced yet.
 */
async function backdatePartitions(session: pg.Client, since: Date): Promise<void> {
  const first = new Date(Date.UTC(since.getUTCFullYear(), since.getUTCMonth() + 1)).toISOString().slice(0, 10);
  await session.query(`
    TRUNCATE audit_event, audit_pending;
    ALTER TABLE audit_event DETACH PARTITION audit_event_initial;
    DO $$ BEGIN
      EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION audit_event_initial FOR VALUES FROM (MINVALUE) TO (%L)',
                     audit_first_id(DATE '${first}'));
    END $$;
    SELECT audit_make_partitions(DATE '${first}', 13)`);
}

function counted(what: string, total: number, progress: (text: string) => void): (done: number) => void {
  const started = Date.now();
  let told = 0;
  return (done) => {
    const now = Date.now();
    if (now - told < PAUSE || done === 0) return;
    told = now;
    const left = Math.round(((now - started) / done) * (total - done)) / 1_000;
    const share = `${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${what}`;
    progress(`loading ${share}, ${left.toFixed(0)} s left`);
  };
}

const size = (population: Population): string => population.size.toLocaleString('en');
