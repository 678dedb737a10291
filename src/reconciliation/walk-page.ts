import type { EntityManager } from 'typeorm';
import { parseIdTime } from '../audit/audit-event.repository.js';
import type { SealedEvent } from '../audit/event-macs.js';
import type { NamedStatement } from '../database/named-statement.js';
import {
  APPROVAL_PAGE,
  CREDENTIAL_PAGE,
  HANDLE_PAGE,
  type HeldPage,
  LOG_PAGES,
  PAGE_ROWS,
  RELYING_PARTY_PAGE,
} from './held-pages.repository.js';
import {
  describeFinding,
  type Finding,
  type HeldTable,
  judgeCredential,
  judgeHandle,
  judgeMissing,
  judgeRelyingParty,
} from './judge-rows.js';
import { PendingChanges } from './pending-changes.js';
import { RowHistory } from './row-history.js';

/** Where a walk is: a table, or a type of events that tell of rows. `after` is null at the beginning of a phase. */
export interface Place {
  readonly phase: string;
  readonly after: string | null;
}

/** A page of rows: their keys are ids of credentials or requests for approval, pseudonyms of users or RP IDs. */
export interface WalkedRows {
  readonly table: HeldTable | 'approval';
  readonly keys: readonly string[];
}

export interface WalkedPage {
  /** Number of rows or events that were read. */
  readonly walked: number;
  readonly findings: readonly Finding[];
  /** The findings that no event has reported yet. */
  readonly unreported: readonly Finding[];
  /** undefined for a page of events. */
  readonly rows: WalkedRows | undefined;
  /** undefined: this was the last page. */
  readonly next: Place | undefined;
}

/** Events that are not in the database. */
export interface EventsElsewhere {
  /** Adds to what the database knows about a row. */
  complete(subject: string, uid: string | null, history: RowHistory): void;
  /** The time in milliseconds from which on the database and these events are the whole log. */
  readonly completeSince: number;
}

interface OtherEvents {
  /** True if the service wrote a pending event. */
  readonly isGenuine: (event: SealedEvent) => boolean;
  readonly elsewhere?: EventsElsewhere;
}

/** A row with what all events say about it, and what follows. */
interface Judgement {
  readonly history: RowHistory;
  readonly finding: Finding | undefined;
}

interface Phase {
  readonly name: string;
  /** Reads the page after a key. */
  read(manager: EntityManager, after: string | null, events: OtherEvents): Promise<JudgedPage>;
}

interface JudgedPage extends Pick<WalkedPage, 'walked' | 'rows'> {
  readonly next: string | null;
  readonly judgements: readonly Judgement[];
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

function definePhase<Row>(
  name: string,
  statement: NamedStatement<HeldPage<Row>>,
  subjectOf: (row: Row) => { readonly subject: string; readonly uid: string | null },
  judge: (row: Row, history: RowHistory, completeSince: number) => Finding | undefined,
  table?: WalkedRows['table'],
): Phase {
  return {
    name,
    async read(manager, after, { isGenuine, elsewhere }) {
      const first = table === 'relying_party' ? '' : FIRST_ID;
      const [page] = await statement.run(manager, [after ?? first, PAGE_ROWS]);
      const { next, walked, archived_until: archived, held } = page!;
      const pending = new PendingChanges(page!, isGenuine);
      const completeSince = elsewhere?.completeSince ?? (archived === null ? -Infinity : parseIdTime(archived));
      const judgements = held.map(({ row, changes }) => {
        const history = new RowHistory();
        for (const change of changes) history.add(change);
        const { subject, uid } = subjectOf(row);
        pending.addTo(history, subject, uid);
        elsewhere?.complete(subject, uid, history);
        return { history, finding: judge(row, history, completeSince) };
      });
      const rows = table && { table, keys: held.map(({ row }) => subjectOf(row).subject) };
      return { next, walked, rows, judgements };
    },
  };
}

const PHASES: readonly Phase[] = [
  definePhase('credential', CREDENTIAL_PAGE, ({ id, uid }) => ({ subject: id, uid }), judgeCredential, 'credential'),
  definePhase('user_handle', HANDLE_PAGE, ({ uid }) => ({ subject: uid, uid }), judgeHandle, 'user_handle'),
  definePhase(
    'relying_party',
    RELYING_PARTY_PAGE,
    ({ rpId }) => ({ subject: rpId, uid: null }),
    judgeRelyingParty,
    'relying_party',
  ),
  definePhase(
    'approval',
    APPROVAL_PAGE,
    ({ id }) => ({ subject: id, uid: null }),
    () => undefined,
    'approval',
  ),
  ...LOG_PAGES.map(([type, statement]) =>
    definePhase(
      type,
      statement,
      ({ subject }) => ({ subject, uid: null }),
      // Several events may tell of the row; it is missing once.
      (row, history) => (history.listed?.id === row.event ? judgeMissing(row, history) : undefined),
    ),
  ),
];

export const BEGINNING: Place = { phase: PHASES[0]!.name, after: null };

/** The indexes have the order of the pages. PostgreSQL may expect few events, and would read and sort all. */
export const SETTINGS = 'SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off';

/** True if a walk can go on here. A version with other phases may have stored the place. */
export function isPlace({ phase }: Place): boolean {
  return PHASES.some(({ name }) => name === phase);
}

/**
 * Holds a page of rows against the log, or a page of the log against the rows. Each page is one statement, so rows and
 * events are of one moment: a change and its event commit together.
 *
 * @param manager of a transaction
 * @throws Error if more events are pending than a page reads
 */
export async function walkPage(
  manager: EntityManager,
  { phase, after }: Place,
  events: OtherEvents,
): Promise<WalkedPage> {
  await manager.query(SETTINGS);
  const index = PHASES.findIndex(({ name }) => name === phase);
  const { next, walked, rows, judgements } = await PHASES[index]!.read(manager, after, events);
  const findings: Finding[] = [];
  const unreported: Finding[] = [];
  for (const { history, finding } of judgements) {
    if (!finding) continue;
    findings.push(finding);
    if (!history.hasReport(describeFinding(finding))) unreported.push(finding);
  }
  const following = PHASES[index + 1];
  const place = next === null ? following && { phase: following.name, after: null } : { phase, after: next };
  return { walked, findings, unreported, rows, next: place };
}
