import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, FindOptionsWhere } from 'typeorm';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import type { AttestationTrust } from '../webauthn/refusal.js';
import { CredentialEntity } from './credential.entity.js';

/** The active passkeys of one model that differ in nothing that a policy looks at. */
export interface EnrolledKind {
  readonly aaguid: string;
  readonly backup_eligible: boolean;
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

/** Lists and counts credentials. answer.repository.ts stores one, and updates it at each sign-in. */
@Injectable()
export class CredentialRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Lists credentials in the order of their ids, after one of them or from the first.
   *
   * @param byTime true where the condition names a relying party or a model: the order is that of its index
   */
  list(
    where: FindOptionsWhere<CredentialEntity>,
    { after, limit, byTime }: { after: string | undefined; limit: number; byTime: boolean },
  ): Promise<CredentialEntity[]> {
    const list = this.dataSource.createQueryBuilder(CredentialEntity, 'credential').where(where).limit(limit);
    if (byTime) list.addOrderBy(timeSql('credential.id'));
    list.addOrderBy('credential.id');
    if (after === undefined) return list.getMany();
    if (byTime) list.andWhere(`${timeSql('credential.id')} >= ${timeSql('CAST(:after AS uuid)')}`);
    return list.andWhere('credential.id > :after', { after }).getMany();
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
