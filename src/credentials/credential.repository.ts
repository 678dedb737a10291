import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { type DataSource, In, type SelectQueryBuilder } from 'typeorm';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import type { AttestationTrust } from '../webauthn/refusal.js';
import { CredentialEntity } from './credential.entity.js';
import { type Condition, type ListFilters, type ListPlan, planList } from './list-plan.js';

/** The active passkeys of one model that differ in nothing that a policy looks at. */
export interface EnrolledKind {
  readonly aaguid: string;
  /** null: not known. */
  readonly backup_eligible: boolean | null;
  readonly attestation_trust: AttestationTrust;
  readonly credentials: number;
}

const COUNT_ACTIVE_KINDS = `
  SELECT aaguid, backup_eligible, attestation_trust, count(*)::float8 AS credentials FROM credential
   WHERE rp_id = $1 AND status = 'active' GROUP BY 1, 2, 3 ORDER BY credentials DESC, aaguid`;

/**
 * SQL: the first digits of an id. They are the same for the 65 seconds in which ids begin alike (UUIDv7), and the second
 * column of the indexes of relying parties and models.
 */
const timeSql = (id: string): string => `left(CAST(${id} AS text), 8)`;

/** The most rows that a page of a list reads if no index has all its filters. */
export const SCANNED_ROWS = 5_000;

/** A page after a credential, or the first one. */
interface ListPlace {
  readonly after: string | undefined;
  readonly limit: number;
}

interface ListedPage {
  readonly rows: CredentialEntity[];
  /** The id after which the next page begins; undefined: this is the last page. */
  readonly last: string | undefined;
}

interface ScannedRow {
  readonly id: string;
  /** null: it is not known, such as whether a passkey is backup eligible. */
  readonly matches: boolean | null;
  readonly place: number;
}

function joinConditions(conditions: readonly Condition[]): [sql: string, values: Record<string, unknown>] {
  return [
    conditions.map(({ sql }) => sql).join(' AND ') || 'TRUE',
    Object.fromEntries(conditions.map(({ name, value }) => [name, value])),
  ];
}

/** Lists and counts credentials. answer.repository.ts stores one, and updates it at each sign-in. */
@Injectable()
export class CredentialRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Lists credentials in the order of their ids. A page may be short, or empty, although it is not the last one. */
  async list(filters: ListFilters, place: ListPlace): Promise<ListedPage> {
    const plan = planList(filters);
    if (plan.checks.length > 0) return this.scan(plan, place);
    const rows = await this.select(plan, place)
      .limit(place.limit + 1)
      .getMany();
    return { rows: rows.slice(0, place.limit), last: rows[place.limit] && rows[place.limit - 1]?.id };
  }

  /**
   * Reads rows until the page is full, but no more than SCANNED_ROWS. The last row that was read then ends the page, whether or not
   * it belongs to the list. PostgreSQL may expect that few rows meet a condition, and would read and sort all of them.
   */
  private scan(plan: ListPlan, place: ListPlace): Promise<ListedPage> {
    const [matches, values] = joinConditions(plan.checks);
    const order = plan.byTime ? `${timeSql('credential.id')}, credential.id` : 'credential.id';
    const [text, parameters] = this.select(plan, place)
      .select('credential.id', 'id')
      .addSelect(`(${matches})`, 'matches')
      .addSelect(`(row_number() OVER (ORDER BY ${order}))::integer`, 'place')
      .setParameters(values)
      .limit(SCANNED_ROWS)
      .getQueryAndParameters() as [string, unknown[]];
    return this.dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL enable_sort = off');
      const read = await manager.query<ScannedRow[]>(
        `SELECT id, matches, place FROM (${text}) AS scanned WHERE matches OR place = ${String(SCANNED_ROWS)} LIMIT ${String(place.limit + 1)}`,
        parameters,
      );
      const ids = read.filter((row) => row.matches).map(({ id }) => id);
      const shown = ids.slice(0, place.limit);
      const rows = await manager.find(CredentialEntity, { where: { id: In(shown) }, order: { id: 'ASC' } });
      const end = ids.length > place.limit ? shown.at(-1) : read.find((row) => row.place === SCANNED_ROWS)?.id;
      return { rows, last: end };
    });
  }

  private select({ conditions, byTime }: ListPlan, { after }: ListPlace): SelectQueryBuilder<CredentialEntity> {
    const [sql, values] = joinConditions(conditions);
    const list = this.dataSource.createQueryBuilder(CredentialEntity, 'credential').where(sql, values);
    if (byTime) list.addOrderBy(timeSql('credential.id'));
    list.addOrderBy('credential.id');
    if (after === undefined) return list;
    if (byTime) list.andWhere(`${timeSql('credential.id')} >= ${timeSql('CAST(:after AS uuid)')}`);
    return list.andWhere('credential.id > :after', { after });
  }

  /** Lists the active passkeys of a user, at most as many as a browser accepts. */
  listActive(rpId: string, userId: string): Promise<CredentialEntity[]> {
    const where = { rpId, userId, status: 'active' as const };
    return this.dataSource.getRepository(CredentialEntity).find({ where, take: MAX_CREDENTIALS_PER_USER });
  }

  /** Counts the active passkeys of a relying party by model, backup eligibility and trust, the most frequent first. */
  countActiveKinds(rpId: string): Promise<EnrolledKind[]> {
    return this.dataSource.query(COUNT_ACTIVE_KINDS, [rpId]);
  }
}
