import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { SealedUser } from '../audit/sealed-user.js';
import { CREDENTIAL_COLUMNS, type CredentialEntity } from '../credentials/credential.entity.js';
import { type LoadedAnswer, readCredential } from '../credentials/loaded-answer.repository.js';

/** A credential, and the user whom it belongs to; null: the user has no row. */
export interface ExportedRow {
  readonly credential: CredentialEntity;
  readonly user: SealedUser | null;
}

/** SQL: the first digits of an id, the second column of the index of a relying party (SmallerIndexes). */
const timeSql = (id: string): string => `left(CAST(${id} AS text), 8)`;

const FIND_LAST = `SELECT id FROM credential WHERE rp_id = $1 ORDER BY ${timeSql('id')} DESC, id DESC LIMIT 1`;

const FIND_TIME = `
  SELECT ${timeSql('id')} AS time FROM credential WHERE rp_id = $1 AND ${timeSql('id')} >= left($2, 8)
   ORDER BY ${timeSql('id')} OFFSET $3 LIMIT 1`;

/** SQL: a page with the users of its rows. The page is a list of its own, so each user is found by an index. */
const withUsersSql = (page: string): string => `
  SELECT ${Object.values(CREDENTIAL_COLUMNS)
    .map((column) => `c.${column} AS c_${column}`)
    .join(', ')}, h.handle, h.audit_uid, h.seal AS user_seal
    FROM (${page} OFFSET 0) AS c
    LEFT JOIN LATERAL (SELECT * FROM user_handle WHERE rp_id = c.rp_id AND user_id = c.user_id LIMIT 1) AS h ON TRUE
   ORDER BY c.id`;

const READ_TIMES = withUsersSql(`
  SELECT * FROM credential
   WHERE rp_id = $1 AND ${timeSql('id')} >= left($2, 8) AND ${timeSql('id')} < $4 AND id > $2::uuid AND id <= $3::uuid`);

const FIND_ID = `
  SELECT id FROM credential WHERE id > $1::uuid AND id <= $2::uuid ORDER BY id OFFSET $3 LIMIT 1`;

/** It compares `rp_id || ''` to read by the primary key. */
const READ_IDS = withUsersSql(`
  SELECT * FROM credential WHERE id > $2::uuid AND id <= $3::uuid AND rp_id || '' = $1`);

const NIL = '00000000-0000-0000-0000-000000000000';
/** Comes after the digits of every id. */
const END = 'g';

const getTime = (id: string): string => id.slice(0, 8);
const getNextTime = (time: string): string =>
  time === 'ffffffff' ? END : (parseInt(time, 16) + 1).toString(16).padStart(8, '0');

/** Reads the credentials of a relying party for an export, in the order of their ids. */
@Injectable()
export class ExportPagesRepository {
  constructor(@InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>) {}

  /** Finds the id of the last credential; undefined: the relying party has none. */
  async findLast(rpId: string): Promise<string | undefined> {
    const [row] = await this.dataSource.query<{ id: string }[]>(FIND_LAST, [rpId]);
    return row?.id;
  }

  /**
   * Reads the credentials up to one of them. Each page is a statement of its own, so no snapshot is held.
   *
   * A page is made of whole times (65 seconds in which ids begin alike), whose rows the index finds. If a time alone has more
   * rows than a page, as after an import, its rows are read in the order of the primary key, which passes over those of other
   * relying parties at that time.
   *
   * @param last id of the last one to read
   * @param limit the most rows of a page
   */
  async *readPages(rpId: string, last: string, limit: number): AsyncGenerator<ExportedRow[]> {
    for (let after = NIL; after < last;) {
      const [next] = await this.dataSource.query<{ time: string }[]>(FIND_TIME, [rpId, after, limit]);
      const until = next?.time ?? END;
      if (until !== getTime(after)) {
        yield* this.read(READ_TIMES, rpId, after, last, until);
        after = toFirstId(until);
      } else {
        yield* this.readTime(rpId, after, minimum(toLastId(until), last), limit);
        after = toFirstId(getNextTime(until));
      }
    }
  }

  private async *readTime(rpId: string, first: string, last: string, limit: number): AsyncGenerator<ExportedRow[]> {
    for (let after = first; after < last;) {
      const [row] = await this.dataSource.query<{ id: string }[]>(FIND_ID, [after, last, limit - 1]);
      const until = row?.id ?? last;
      yield* this.read(READ_IDS, rpId, after, until);
      after = until;
    }
  }

  private async *read(page: string, ...values: string[]): AsyncGenerator<ExportedRow[]> {
    const rows = await this.dataSource.query<LoadedAnswer[]>(page, values);
    if (rows.length > 0) yield rows.map(readRow);
  }
}

/** The bounds of the ids of a time. No UUIDv7 is one of them. */
const toFirstId = (time: string): string => `${time}${NIL.slice(8)}`;
const toLastId = (time: string): string => `${time}-ffff-ffff-ffff-ffffffffffff`;

const minimum = (one: string, other: string): string => (one < other ? one : other);

function readRow(row: LoadedAnswer): ExportedRow {
  const credential = readCredential(row)!;
  const { rpId, userId } = credential;
  const { handle, audit_uid: auditUid, user_seal: seal } = row;
  return { credential, user: handle === null || auditUid === null ? null : { rpId, userId, handle, auditUid, seal } };
}
