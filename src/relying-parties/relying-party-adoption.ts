import { createHmac } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { type DataSource, type EntityManager, IsNull } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { ConfigError } from '../config/config.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { findRelyingParties } from './relying-party.repository.js';
import { RelyingPartySeals, type StoredRelyingParty } from './relying-party-seals.js';

/**
 * Compares the key that seals rows with the check value in the database, before the service starts. At the first start
 * there is none: then it seals the relying parties that a version without seals has stored, and records each with its
 * settings. The service may add a check value but not remove one, so whoever acts as the service cannot make it do so again.
 */
@Injectable()
export class RelyingPartyAdoption implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly seals: RelyingPartySeals,
    private readonly audit: AuditService,
  ) {}

  /** @throws ConfigError if another key has sealed the database */
  async onModuleInit(): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const value = createHmac('sha256', this.keys.relyingParty).update('check').digest();
      if (await insertCheckValue(manager, value)) return this.adopt(manager);
      if (!(await isCheckValue(manager, value))) {
        throw new ConfigError(['PASSKEY_BINDING_KEY_FILE holds another key than the one that sealed this database']);
      }
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

async function isCheckValue(manager: EntityManager, value: Buffer): Promise<boolean> {
  const found = await manager.query<{ value: Buffer }[]>(`SELECT value FROM key_check_value WHERE purpose = 'binding'`);
  return found[0]?.value.equals(value) ?? false;
}
