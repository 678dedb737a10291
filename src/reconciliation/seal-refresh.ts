import { Injectable } from '@nestjs/common';
import { type EntityManager, In } from 'typeorm';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { RelyingPartySeals } from '../relying-parties/relying-party-seals.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { findRelyingParties, lockRelyingParty } from '../relying-parties/relying-party.repository.js';
import { SEAL_BYTES } from '../seals/seal.js';
import { SealRegister } from '../seals/seal-register.js';
import { Metrics } from '../telemetry/metrics.js';
import type { WalkedRows } from './walk-page.js';

/** A walk that has ended. */
export interface EndedWalk {
  readonly beganAt: Date;
  /** The number of rows whose seal was old when the walk came to them. */
  readonly oldSeals: number;
}

/** A replica whose clock is behind, or a statement under way, makes old seals a little longer. */
const CLOCK_SKEW_MS = 600_000;
/** Nobody waits for the walk, and the walk for nobody: a row that is locked has its turn in the next walk. */
const LOCK = { mode: 'for_no_key_update', onLocked: 'skip_locked' } as const;

/**
 * Verifies the seal of every row that the walk comes to, and seals a row again whose seal another key has made, or the
 * version before (docs/adr/0031-keys-are-sets.md). A row that fails is reported, and keeps its wrong seal.
 */
@Injectable()
export class SealRefresh {
  constructor(
    private readonly credentials: CredentialBindings,
    private readonly users: UserSeals,
    private readonly parties: RelyingPartySeals,
    private readonly register: SealRegister,
    private readonly metrics: Metrics,
  ) {}

  /** True if the process lacks a key, and would take good rows for changed ones. */
  get lacksKey(): boolean {
    return this.register.missingKey !== undefined;
  }

  /**
   * @param manager of the walk's transaction
   * @returns the number of genuine rows with an old seal, which have a new one now or are locked
   */
  async refresh(manager: EntityManager, { table, keys }: WalkedRows): Promise<number> {
    const refreshed = await this[table](manager, keys);
    this.metrics.resealedRows.inc({ table }, refreshed);
    return refreshed;
  }

  /** Ends the old seals of the version before, if a whole walk has found none. */
  async endWalk(manager: EntityManager, { beganAt, oldSeals }: EndedWalk): Promise<void> {
    const { newSince, areOldAccepted } = this.register;
    if (!areOldAccepted || oldSeals > 0) return;
    if (newSince && beganAt.getTime() < newSince.getTime() + CLOCK_SKEW_MS) return;
    const [row] = await manager.query<{ old: boolean }[]>(
      'SELECT EXISTS (SELECT FROM approval WHERE octet_length(mac) <> $1) AS old',
      [SEAL_BYTES],
    );
    if (!row!.old) await this.register.endOld(manager);
  }

  private async credential(manager: EntityManager, ids: readonly string[]): Promise<number> {
    const rows = await manager.findBy(CredentialEntity, { id: In([...ids]) });
    const old = (await this.credentials.keepGenuine(null, rows)).filter((row) => this.credentials.isOld(row));
    if (old.length === 0) return 0;
    const where = { id: In(old.map(({ id }) => id)) };
    const order = { rpId: 'ASC', id: 'ASC' } as const;
    const locked = await manager.find(CredentialEntity, { where, order, lock: LOCK });
    const sealed = locked.filter((row) => this.credentials.isGenuine(row)).map((row) => this.credentials.seal(row));
    await manager.query(
      `UPDATE credential c SET binding_mac = seal FROM unnest($1::uuid[], $2::bytea[]) AS sealed (id, seal) WHERE c.id = sealed.id`,
      [sealed.map(({ id }) => id), sealed.map(({ bindingMac }) => bindingMac)],
    );
    return old.length;
  }

  private async user_handle(manager: EntityManager, uids: readonly string[]): Promise<number> {
    const rows = await manager.findBy(UserHandleEntity, { auditUid: In([...uids]) });
    const genuine = await Promise.all(rows.map((row) => this.users.keepGenuine(null, row)));
    const old = genuine.filter((row) => row !== undefined && this.users.isOld(row)) as UserHandleEntity[];
    if (old.length === 0) return 0;
    const where = { auditUid: In(old.map(({ auditUid }) => auditUid)) };
    const order = { rpId: 'ASC', userId: 'ASC' } as const;
    const locked = await manager.find(UserHandleEntity, { where, order, lock: LOCK });
    const sealed = locked.filter((row) => this.users.isGenuine(row));
    await manager.query(
      `UPDATE user_handle u SET seal = sealed.seal FROM unnest($1::uuid[], $2::bytea[]) AS sealed (uid, seal) WHERE u.audit_uid = uid`,
      [sealed.map(({ auditUid }) => auditUid), sealed.map((row) => this.users.seal(row))],
    );
    return old.length;
  }

  private async relying_party(manager: EntityManager, rpIds: readonly string[]): Promise<number> {
    let refreshed = 0;
    for (const stored of await findRelyingParties(manager, { rpId: In([...rpIds]) })) {
      const { rpId } = stored.party;
      if ((await this.parties.keepGenuine([stored])).length === 0 || !this.parties.isOld(stored.party)) continue;
      refreshed += 1;
      await lockRelyingParty(manager, rpId);
      const [present] = await findRelyingParties(manager, { rpId });
      if (!present || !this.parties.isGenuine(present)) continue;
      const { seal } = this.parties.seal(present.party, present.policy);
      await manager.update(RelyingPartyEntity, { rpId }, { seal });
    }
    return refreshed;
  }
}
