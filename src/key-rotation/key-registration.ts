import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SealKey, type SecretKeys } from '../config/secret-keys.js';
import { computeCheckValue } from '../seals/check-value.js';
import { SealRegister } from '../seals/seal-register.js';

interface Registered {
  readonly id: string;
  readonly first: boolean;
}

/**
 * Tells the database which keys the service has, and which of them seals, each once for all replicas. The events
 * `seal-key.add` and `seal-key.rotate` record it, in the same transaction. The database keeps the check value of each key, so
 * a later start without the key ends with a sentence (SealRegister).
 */
@Injectable()
export class KeyRegistration implements OnApplicationBootstrap {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(SECRET_KEYS) private readonly keys: Pick<SecretKeys, 'seals'>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly register: SealRegister,
    private readonly audit: AuditService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('passkey-manager seal keys', 0))`);
      const known = await manager.query<Registered[]>('SELECT id, first_at IS NOT NULL AS first FROM seal_key');
      const added = this.keys.seals.filter(({ id }) => !known.some((each) => each.id === id));
      for (const key of added) await this.add(manager, key);
      const [first] = this.keys.seals;
      if (!known.some(({ id, first: hasBeen }) => hasBeen && id === first.id)) await this.rotate(manager, first, known);
    });
    await this.register.refresh();
  }

  private async add(manager: EntityManager, key: SealKey): Promise<void> {
    await manager.query('INSERT INTO seal_key (id, check_value, added_at) VALUES ($1, $2, $3)', [
      ...[key.id, computeCheckValue(key), this.clock.now()],
    ]);
    await this.audit.record(null, { type: 'seal-key.add', outcome: 'success', facts: { seal_key: key.id } }, manager);
  }

  private async rotate(manager: EntityManager, { id }: SealKey, known: readonly Registered[]): Promise<void> {
    await manager.query('UPDATE seal_key SET first_at = $2 WHERE id = $1', [id, this.clock.now()]);
    const former = known.filter(({ first }) => first).map((key) => key.id);
    if (former.length === 0) return;
    const facts = { seal_key: id, former_seal_keys: former };
    await this.audit.record(null, { type: 'seal-key.rotate', outcome: 'success', facts }, manager);
  }
}
