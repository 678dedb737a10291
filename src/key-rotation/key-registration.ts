import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SealKey, type SecretKeys } from '../config/secret-keys.js';
import { computeCheckValue } from '../seals/check-value.js';
import { SealRegister } from '../seals/seal-register.js';
import { Seals } from '../seals/seals.js';

interface Registered {
  readonly id: string;
  /** When the key last became the one that seals; null: it never did. */
  readonly first_at: Date | null;
}

/**
 * Tells the database which keys the service has, and which of them seals. The events `seal-key.add` and `seal-key.rotate`
 * record each change once for all replicas, in the same transaction. While replicas are replaced, one that starts with the
 * former file changes the key back, which is an event, too. The database keeps the check value of each key, so
 * a later start without the key ends with a sentence (SealRegister).
 */
@Injectable()
export class KeyRegistration implements OnApplicationBootstrap {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(SECRET_KEYS) private readonly keys: Pick<SecretKeys, 'seals'>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly register: SealRegister,
    private readonly seals: Seals,
    private readonly audit: AuditService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('passkey-manager seal keys', 0))`);
      const known = await manager.query<Registered[]>(
        'SELECT id, first_at FROM seal_key ORDER BY first_at DESC NULLS LAST',
      );
      const added = this.keys.seals.filter(({ id }) => !known.some((each) => each.id === id));
      for (const key of added) await this.add(manager, key);
      const [latest] = known.filter(({ first_at }) => first_at !== null);
      const { first } = this.seals;
      if (latest?.id !== first.id) await this.rotate(manager, first, latest?.id);
    });
    await this.register.refresh();
  }

  private async add(manager: EntityManager, key: SealKey): Promise<void> {
    await manager.query('INSERT INTO seal_key (id, check_value, added_at) VALUES ($1, $2, $3)', [
      ...[key.id, computeCheckValue(key), this.clock.now()],
    ]);
    await this.audit.record(null, { type: 'seal-key.add', outcome: 'success', facts: { seal_key: key.id } }, manager);
  }

  /** The clocks of replicas differ, and SQL may have set any time, so the times of all other keys become earlier ones. */
  private async rotate(manager: EntityManager, { id }: SealKey, former: string | undefined): Promise<void> {
    await manager.query(
      `UPDATE seal_key SET first_at = CASE WHEN id = $1 THEN $2::timestamptz ELSE least(first_at, $2::timestamptz - interval '1 ms') END
        WHERE id = $1 OR first_at IS NOT NULL`,
      [id, this.clock.now()],
    );
    if (former === undefined) return;
    const facts = { seal_key: id, former_seal_key: former };
    await this.audit.record(null, { type: 'seal-key.rotate', outcome: 'success', facts }, manager);
  }
}
