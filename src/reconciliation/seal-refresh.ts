import { Injectable } from '@nestjs/common';
import { type EntityManager, type EntityTarget, type FindOptionsWhere, In, type ObjectLiteral } from 'typeorm';
import { ApprovalSeal } from '../approvals/approval-seal.js';
import { ApprovalEntity } from '../approvals/approval.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { CredentialEntity } from '../credentials/credential.entity.js';
import { RelyingPartySeals } from '../relying-parties/relying-party-seals.js';
import { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { findRelyingParties, lockRelyingParties } from '../relying-parties/relying-party.repository.js';
import { SealRegister } from '../seals/seal-register.js';
import { Metrics } from '../telemetry/metrics.js';
import type { WalkedRows } from './walk-page.js';

/** A walk that has ended. */
export interface EndedWalk {
  readonly beganAt: Date;
  /** The number of rows whose seal was old when the walk came to them. */
  readonly oldSeals: number;
}

/** What a feature says of the seals of its rows. */
interface RowSeals<Row> {
  verifyRow(context: null, row: Row): Promise<boolean>;
  isGenuine(row: Row): boolean;
  isOld(row: Row): boolean;
}

/** The rows of a page to seal again, which the transaction has locked, and how many have an old seal. */
interface OldRows<Row> {
  readonly count: number;
  readonly locked: Row[];
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
    private readonly approvals: ApprovalSeal,
    private readonly register: SealRegister,
    private readonly audit: AuditService,
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

  /** Ends the old seals of the version before, if a whole walk has found none. The log has it once for all replicas. */
  async endWalk(manager: EntityManager, { beganAt, oldSeals }: EndedWalk): Promise<void> {
    const { newSince, areOldAccepted } = this.register;
    if (!areOldAccepted || oldSeals > 0) return;
    if (newSince && beganAt.getTime() < newSince.getTime() + CLOCK_SKEW_MS) return;
    if (!(await this.register.endOld(manager))) return;
    await this.audit.record(null, { type: 'seal-key.end-old-seals', outcome: 'success' }, manager);
  }

  private async credential(manager: EntityManager, ids: readonly string[]): Promise<number> {
    const { count, locked } = await lockOld(manager, CredentialEntity, 'id', ids, this.credentials);
    const seals = locked.map((row) => this.credentials.seal(row).bindingMac);
    await manager.query(
      `UPDATE credential c SET binding_mac = seal FROM unnest($1::uuid[], $2::bytea[]) AS sealed (id, seal) WHERE c.id = sealed.id`,
      [locked.map(({ id }) => id), seals],
    );
    return count;
  }

  private async user_handle(manager: EntityManager, uids: readonly string[]): Promise<number> {
    const { count, locked } = await lockOld(manager, UserHandleEntity, 'auditUid', uids, this.users);
    await manager.query(
      `UPDATE user_handle u SET seal = sealed.seal FROM unnest($1::uuid[], $2::bytea[]) AS sealed (uid, seal) WHERE u.audit_uid = uid`,
      [locked.map(({ auditUid }) => auditUid), locked.map((row) => this.users.seal(row))],
    );
    return count;
  }

  private async approval(manager: EntityManager, ids: readonly string[]): Promise<number> {
    const { count, locked } = await lockOld(manager, ApprovalEntity, 'id', ids, this.approvals);
    await manager.query(
      `UPDATE approval a SET mac = seal FROM unnest($1::uuid[], $2::bytea[]) AS sealed (id, seal) WHERE a.id = sealed.id`,
      [locked.map(({ id }) => id), locked.map((row) => this.approvals.seal(row).mac)],
    );
    return count;
  }

  private async relying_party(manager: EntityManager, rpIds: readonly string[]): Promise<number> {
    let refreshed = 0;
    for (const stored of await findRelyingParties(manager, { rpId: In([...rpIds]) })) {
      const { rpId } = stored.party;
      if ((await this.parties.keepGenuine([stored])).length === 0 || !this.parties.isOld(stored.party)) continue;
      refreshed += 1;
      await lockRelyingParties(manager, [rpId]);
      const [present] = await findRelyingParties(manager, { rpId });
      if (!present || !this.parties.isGenuine(present)) continue;
      const { seal } = this.parties.seal(present.party, present.policy);
      await manager.update(RelyingPartyEntity, { rpId }, { seal });
    }
    return refreshed;
  }
}

/** Finds the genuine rows with an old seal, and locks those that nobody else has locked, as they are then. */
async function lockOld<Row extends ObjectLiteral, Key extends keyof Row>(
  manager: EntityManager,
  entity: EntityTarget<Row>,
  key: Key,
  keys: readonly Row[Key][],
  seals: RowSeals<NoInfer<Row>>,
): Promise<OldRows<Row>> {
  const where = (among: readonly Row[Key][]): FindOptionsWhere<Row> =>
    ({ [key]: In([...among]) }) as unknown as FindOptionsWhere<Row>;
  const rows = await manager.find(entity, { where: where(keys) });
  const old: Row[] = [];
  for (const row of rows) if ((await seals.verifyRow(null, row)) && seals.isOld(row)) old.push(row);
  if (old.length === 0) return { count: 0, locked: [] };
  const locked = await manager.find(entity, { where: where(old.map((row) => row[key])), lock: LOCK });
  return { count: old.length, locked: locked.filter((row) => seals.isGenuine(row)) };
}
