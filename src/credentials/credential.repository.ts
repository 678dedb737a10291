import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { CredentialEntity } from './credential.entity.js';

/** The active passkeys of one model that are all backup eligible, or all not. */
export interface EnrolledModel {
  readonly aaguid: string;
  readonly backup_eligible: boolean;
  readonly credentials: number;
}

const COUNT_ACTIVE_MODELS = `
  SELECT aaguid, backup_eligible, count(*)::float8 AS credentials FROM credential
   WHERE rp_id = $1 AND status = 'active' GROUP BY aaguid, backup_eligible ORDER BY credentials DESC, aaguid`;

/** Stores and counts credentials. A sign-in updates its credential in answer.repository.ts. */
@Injectable()
export class CredentialRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @returns false: the relying party has a credential with this credential id */
  async insert(manager: EntityManager, credential: CredentialEntity): Promise<boolean> {
    const insert = manager.createQueryBuilder().insert().into(CredentialEntity).values(credential);
    const inserted = await insert.orIgnore().returning('id').execute();
    return (inserted.raw as unknown[]).length > 0;
  }

  /** Counts the active passkeys of a relying party by model, the most frequent first. */
  countActiveModels(rpId: string): Promise<EnrolledModel[]> {
    return this.dataSource.query(COUNT_ACTIVE_MODELS, [rpId]);
  }
}
