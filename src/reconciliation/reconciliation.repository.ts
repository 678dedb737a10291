import type { EntityManager } from 'typeorm';
import { nameStatement, type Queryable } from '../database/named-statement.js';
import type { FindingKind } from './judge-rows.js';
import { BEGINNING, isPlace, type Place } from './walk-page.js';

/** The number of findings of each kind; a kind without findings may be absent. */
export type FindingCounts = Readonly<Partial<Record<FindingKind, number>>>;

/** How far the walk is, which all replicas share. */
export interface Progress {
  readonly place: Place;
  /** When the present walk began; null before the first. */
  readonly beganAt: Date | null;
  /** The findings of the present walk so far. */
  readonly found: FindingCounts;
  /** The rows so far whose seal was old when the present walk came to them. */
  readonly oldSeals: number;
  /** The time of the next page. */
  readonly dueAt: Date;
  /** When the last whole walk ended; null before the end of the first. */
  readonly completedAt: Date | null;
  /** The findings of the last whole walk. */
  readonly findings: FindingCounts;
}

interface ProgressRow {
  readonly phase: string;
  readonly after: string | null;
  readonly began_at: Date | number | null;
  readonly found: FindingCounts | null;
  readonly old_seals: number;
  readonly due_at: Date | number;
  readonly completed_at: Date | number | null;
  readonly findings: FindingCounts | null;
}

const COLUMNS = 'phase, after, began_at, found, old_seals, due_at, completed_at, findings';
const READ = nameStatement<ProgressRow>('reconciliation-read', `SELECT ${COLUMNS} FROM reconciliation`);
/** The replica that locks the row walks a page. A role that only reads cannot lock it. */
const TAKE_TURN = nameStatement<ProgressRow>(
  'reconciliation-turn',
  `SELECT ${COLUMNS} FROM reconciliation FOR UPDATE SKIP LOCKED`,
);
const STORE = nameStatement(
  'reconciliation-store',
  `UPDATE reconciliation SET phase = $1, after = $2, began_at = $3, found = $4, due_at = $5, completed_at = $6, findings = $7, old_seals = $8`,
);

/** SQL may have set a count at the end of its range. */
const MOST_OLD = 1_000_000_000;

export async function readProgress(through: Queryable): Promise<Progress> {
  return toProgress((await READ.run(through, []))[0]!);
}

/** Takes the turn to walk a page until the transaction ends. @returns undefined: another replica has it */
export async function takeWalk(manager: EntityManager): Promise<Progress | undefined> {
  const [row] = await TAKE_TURN.run(manager, []);
  return row && toProgress(row);
}

export async function storeProgress(manager: EntityManager, progress: Progress): Promise<void> {
  const { place, beganAt, found, dueAt, completedAt, findings, oldSeals } = progress;
  await STORE.run(manager, [place.phase, place.after, beganAt, found, dueAt, completedAt, findings, oldSeals]);
}

/** SQL may have stored a time without a value, such as `infinity`, or no object. Then the walk goes on as if nothing were there. */
function toProgress(row: ProgressRow): Progress {
  const place = { phase: row.phase, after: row.after };
  return {
    place: isPlace(place) ? place : BEGINNING,
    beganAt: toTime(row.began_at),
    found: row.found ?? {},
    oldSeals: Math.min(Math.max(row.old_seals, 0), MOST_OLD),
    dueAt: toTime(row.due_at) ?? new Date(0),
    completedAt: toTime(row.completed_at),
    findings: row.findings ?? {},
  };
}

function toTime(time: Date | number | null): Date | null {
  return time instanceof Date && Number.isFinite(time.getTime()) ? time : null;
}
