import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';

/** The active passkeys of one model that are all backup eligible, or all not. */
export interface EnrolledModel {
  readonly aaguid: string;
  readonly backup_eligible: boolean;
  readonly credentials: number;
}

const COUNT_ACTIVE_MODELS = `
  SELECT aaguid, backup_eligible, count(*)::float8 AS credentials FROM credential
   WHERE rp_id = $1 AND status = 'active' GROUP BY aaguid, backup_eligible ORDER BY credentials DESC, aaguid`;

/** Counts credentials. answer.repository.ts stores one, and updates it at each sign-in. */
@Injectable()
export class CredentialRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Counts the active passkeys of a relying party by model, the most frequent first. */
  countActiveModels(rpId: string): Promise<EnrolledModel[]> {
    return this.dataSource.query(COUNT_ACTIVE_MODELS, [rpId]);
  }
}
