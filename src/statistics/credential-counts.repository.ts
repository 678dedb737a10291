import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { nameStatement } from '../database/named-statement.js';
import {
  addGroups,
  type CountedGroup,
  type CredentialCounts,
  NO_CREDENTIALS,
  readCounts,
} from './credential-counts.js';

/** The most passkeys that one statement counts. A relying party with fewer is counted when somebody asks. */
export const PASSKEYS = 5_000;
/** A passkey that was not used for this long counts as unused. */
const UNUSED_MS = 90 * 86_400_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** Time between two pages, and between two walks, at least. */
const PAGE_MS = 1_000;
const WALK_MS = 60_000;
/** A turn walks through pages for this long, and then rests this many times as long as it took. */
const TURN_MS = 100;
const REST = 19;
/** A time that is further ahead is that of a clock that was wrong. */
const MOST_WAIT_MS = 3_600_000;

export interface ComputedCounts {
  readonly counts: CredentialCounts;
  readonly computedAt: Date;
}

/** How far the walk is. */
interface WalkPlace {
  readonly rpId: string;
  readonly after: string | null;
  /** What is counted of the relying party so far. */
  readonly counts: CredentialCounts | null;
}

/** As it is stored. */
interface WalkRow {
  /** null: the walk begins. */
  readonly rpId: string | null;
  readonly after: string | null;
  readonly counts: unknown;
  readonly due_at: Date | number;
}

interface CountedPage {
  /** The last id of a page that is full; null: there are no more passkeys. */
  readonly last: string | null;
  readonly groups: CountedGroup[] | null;
}

/** SQL: counts up to PASSKEYS passkeys of a source, as unused those that were not used since $2. */
const countSql = (source: string): string => `WITH page AS MATERIALIZED (
     SELECT id, status, aaguid, algorithm, backup_eligible AS "backupEligible", backed_up AS "backedUp", attestation_trust AS trust,
            coalesce(last_used_at, created_at) < $2::timestamptz AS unused
       FROM ${source} LIMIT ${String(PASSKEYS)}),
   groups AS (
     SELECT status, aaguid, algorithm, "backupEligible", "backedUp", trust, unused, count(*) AS count FROM page GROUP BY 1, 2, 3, 4, 5, 6, 7)
   SELECT (SELECT id FROM page OFFSET ${String(PASSKEYS - 1)}) AS last, (SELECT json_agg(groups) FROM groups) AS groups`;

/** SQL: passkeys of the relying party $1, in the order of the disk. */
const COUNT_FEW = nameStatement<CountedPage>('statistics-count-few', countSql('credential WHERE rp_id = $1'));
/** SQL: passkeys of the relying party $1 after the id $3. */
const COUNT_PAGE = nameStatement<CountedPage>(
  'statistics-count-page',
  countSql(
    'credential WHERE rp_id = $1 AND left(id::text, 8) >= left($3::uuid::text, 8) AND id > $3::uuid ORDER BY left(id::text, 8), id',
  ),
);

const READ = nameStatement<{ counts: unknown; computedAt: Date | number }>(
  'statistics-read-passkeys',
  'SELECT counts, computed_at AS "computedAt" FROM statistic_credential WHERE rp_id = $1',
);

const STORE = `INSERT INTO statistic_credential (rp_id, counts, computed_at) VALUES ($1, $2, $3)
  ON CONFLICT (rp_id) DO UPDATE SET counts = excluded.counts, computed_at = excluded.computed_at`;

/** Counts the passkeys of each relying party, page by page. Each passkey is counted once, at some moment of the walk. */
@Injectable()
export class CredentialCountsRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @returns undefined: the relying party has many passkeys, and was never counted */
  async read(rpId: string, now: Date): Promise<ComputedCounts | undefined> {
    const [stored] = await READ.run(this.dataSource, [rpId]);
    const counts = readCounts(stored?.counts);
    if (counts && stored?.computedAt instanceof Date) return { counts, computedAt: stored.computedAt };
    const [few] = await COUNT_FEW.run(this.dataSource, [rpId, getUnusedSince(now)]);
    const { last, groups } = few!;
    return last === null ? { counts: addGroups(NO_CREDENTIALS, groups ?? []), computedAt: now } : undefined;
  }

  async isDue(now: Date): Promise<boolean> {
    const [row] = await this.dataSource.query<[{ due_at: Date | number }]>('SELECT due_at FROM statistic_walk');
    return isDue(row, now);
  }

  /** Walks on, if it is time and no other replica does. */
  async walk(now: Date): Promise<void> {
    await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      const [row] = await manager.query<WalkRow[]>(
        'SELECT rp_id AS "rpId", after, counts, due_at FROM statistic_walk FOR UPDATE SKIP LOCKED',
      );
      if (!row || !isDue(row, now)) return;
      const began = performance.now();
      let place = row.rpId === null ? await this.findNext(manager, '') : resume({ ...row, rpId: row.rpId });
      while (place && performance.now() - began < TURN_MS) place = await this.walkPage(manager, place, now);
      const rest = Math.max(place ? PAGE_MS : WALK_MS, REST * (performance.now() - began));
      const { rpId, after, counts } = place ?? { rpId: null, after: null, counts: null };
      await manager.query('UPDATE statistic_walk SET rp_id = $1, after = $2, counts = $3, due_at = $4', [
        ...[rpId, after, counts && JSON.stringify(counts)],
        new Date(now.getTime() + rest),
      ]);
    });
  }

  /** @returns the place of the next page; undefined: the walk has ended */
  private async walkPage(manager: EntityManager, place: WalkPlace, now: Date): Promise<WalkPlace | undefined> {
    const { rpId } = place;
    const { last, groups } = await countPage(manager, rpId, place.after ?? FIRST_ID, now);
    const counts = addGroups(place.counts ?? NO_CREDENTIALS, groups ?? []);
    if (last !== null) return { rpId, after: last, counts };
    if (place.after === null) await manager.query('DELETE FROM statistic_credential WHERE rp_id = $1', [rpId]);
    else await manager.query(STORE, [rpId, JSON.stringify(counts), now]);
    return this.findNext(manager, rpId);
  }

  private async findNext(manager: EntityManager, rpId: string): Promise<WalkPlace | undefined> {
    const [next] = await manager.query<{ rp_id: string }[]>(
      'SELECT rp_id FROM relying_party WHERE rp_id > $1 ORDER BY rp_id LIMIT 1',
      [rpId],
    );
    return next && { rpId: next.rp_id, after: null, counts: null };
  }
}

/** Begins the relying party again if there are no counts of what was walked. */
function resume({ rpId, after, counts }: { rpId: string; after: string | null; counts: unknown }): WalkPlace {
  const known = readCounts(counts);
  return known ? { rpId, after, counts: known } : { rpId, after: null, counts: null };
}

/** The index has the order of the page. PostgreSQL may expect few passkeys, and would read and sort all. */
async function countPage(manager: EntityManager, rpId: string, after: string, now: Date): Promise<CountedPage> {
  await manager.query('SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off');
  const [page] = await COUNT_PAGE.run(manager, [rpId, getUnusedSince(now), after]);
  return page!;
}

function getUnusedSince(now: Date): Date {
  return new Date(now.getTime() - UNUSED_MS);
}

function isDue({ due_at: dueAt }: { readonly due_at: Date | number }, now: Date): boolean {
  const wait = dueAt instanceof Date ? dueAt.getTime() - now.getTime() : 0;
  return !(wait > 0 && wait <= MOST_WAIT_MS);
}
