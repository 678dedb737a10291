import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { type DataSource, type EntityManager, IsNull } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { computeFormerCheckValue } from '../seals/check-value.js';
import { findRelyingParties } from './relying-party.repository.js';
import { RelyingPartySeals, type StoredRelyingParty } from './relying-party-seals.js';

/**
 * Seals the relying parties that a version without seals has stored, and records each with its settings. It does so once,
 * at the first start, when the database has no check value of a key yet. The service may add a check value but not remove
 * one, so whoever acts as the service cannot make it do so again. (The check value of each key is in `seal_key` now.)
 */
@Injectable()
export class RelyingPartyAdoption implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(SECRET_KEYS) private readonly keys: Pick<SecretKeys, 'seals'>,
    private readonly seals: RelyingPartySeals,
    private readonly audit: AuditService,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      if (await insertCheckValue(manager, computeFormerCheckValue(this.keys.seals[0]))) await this.adopt(manager);
    });
  }

  private async adopt(manager: EntityManager): Promise<void> {
    let unsealed = await findRelyingParties(manager, { seal: IsNull() });
    for (; unsealed.length > 0; unsealed = await findRelyingParties(manager, { seal: IsNull() })) {
      for (const each of unsealed) await this.sealFirst(manager, each);
    }
  }

  private async sealFirst(manager: EntityManager, { party, policy }: StoredRelyingParty): Promise<void> {
    const { rpId, version, name, origins, enabled } = party;
    const { seal } = this.seals.seal(party, policy);
    await manager.query('UPDATE relying_party SET seal = $2 WHERE rp_id = $1', [rpId, seal]);
    const facts = { version, name, origins, enabled, policy };
    await this.audit.record(null, { type: 'relying-party.seal', outcome: 'success', rpId, facts }, manager);
  }
}

/** Replicas that start together wait here for each other. @returns false: there is a check value already */
async function insertCheckValue(manager: EntityManager, value: Buffer): Promise<boolean> {
  const added = await manager.query<unknown[]>(
    `INSERT INTO key_check_value (purpose, value) VALUES ('binding', $1) ON CONFLICT DO NOTHING RETURNING purpose`,
    [value],
  );
  return added.length > 0;
}
