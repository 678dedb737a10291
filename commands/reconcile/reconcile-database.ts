import type { DataSource } from 'typeorm';
import { MISSING_AMONG, PAGE_ROWS } from '../../src/reconciliation/held-pages.repository.js';
import { type Finding, judgeMissing } from '../../src/reconciliation/judge-rows.js';
import { PendingChanges } from '../../src/reconciliation/pending-changes.js';
import { RowHistory } from '../../src/reconciliation/row-history.js';
import { BEGINNING, type Place, walkPage } from '../../src/reconciliation/walk-page.js';
import type { ExportedEvents, ToldRow } from './exported-events.js';

/** The program has no key, so it believes pending events. The service does not, and its walk verifies each. */
const isGenuine = (): boolean => true;

/**
 * Holds the whole database against its log and the exported events. It changes nothing. Each
 * page is a transaction of its own, so a service that runs meanwhile may change rows and is never held up.
 *
 * @param onPage told of each page: what is walked, and the number of rows and events so far
 */
export async function* reconcileDatabase(
  dataSource: DataSource,
  exported: ExportedEvents,
  onPage: (phase: string, walked: number) => void,
): AsyncGenerator<Finding> {
  let walked = 0;
  for (let place: Place | undefined = BEGINNING; place;) {
    const { phase } = place;
    const page = await walk(dataSource, place, exported);
    onPage(phase, (walked += page.walked));
    exported.forget(page.rows?.keys ?? page.findings.map(({ subject }) => subject));
    yield* page.findings;
    place = page.next;
  }
  yield* findMissing(dataSource, exported);
}

function walk(dataSource: DataSource, place: Place, exported: ExportedEvents): ReturnType<typeof walkPage> {
  return dataSource.transaction((manager) => walkPage(manager, place, { isGenuine, elsewhere: exported }));
}

/** Finds the rows that only an export has. The walk has passed all others. */
async function* findMissing(dataSource: DataSource, exported: ExportedEvents): AsyncGenerator<Finding> {
  for (const table of ['credential', 'relying_party'] as const) {
    let some: ToldRow[] = [];
    for (const row of exported.listRemaining(table)) {
      if (some.push(row) < PAGE_ROWS) continue;
      yield* findMissingAmong(dataSource, table, some, exported);
      some = [];
    }
    yield* findMissingAmong(dataSource, table, some, exported);
  }
}

async function* findMissingAmong(
  dataSource: DataSource,
  table: ToldRow['table'],
  told: readonly ToldRow[],
  exported: ExportedEvents,
): AsyncGenerator<Finding> {
  if (told.length === 0) return;
  const events = told.map(({ history }) => history.newest!);
  const values = [
    told.map(({ subject }) => subject),
    events.map(({ id }) => id),
    told.map(({ rpId }) => rpId),
    events.map(({ user }) => user),
  ];
  const [page] = await MISSING_AMONG[table].run(dataSource, values);
  const pending = new PendingChanges(page!, isGenuine);
  for (const { row, changes } of page!.held) {
    const history = new RowHistory();
    for (const change of changes) history.add(change);
    pending.addTo(history, row.subject, null);
    exported.complete(row.subject, null, history);
    const finding = judgeMissing(row, history);
    if (finding) yield finding;
  }
}
