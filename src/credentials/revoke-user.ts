import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleRepository } from '../challenges/user-handle.repository.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { CredentialsService } from './credentials.service.js';

/** SQL may have set a version at the end of its range. */
const MOST_VERSION = 2_147_483_646;

interface Revocation {
  readonly context: AuthorizedContext;
  readonly rpId: string;
  readonly userId: string;
  /** The audit log and the credentials keep it. */
  readonly reason: string;
}

/** Revokes a user: all passkeys, and the registrations that have begun. */
@Injectable()
export class RevokeUser {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly users: UserHandleRepository,
    private readonly userSeals: UserSeals,
    private readonly parties: RelyingPartiesService,
    private readonly credentials: CredentialsService,
    private readonly bindings: CredentialBindings,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Revokes every passkey of the user in one transaction. A registration of the user that began before ends with none, because
   * its challenge cannot be answered any more; whoever registers at the same time is revoked or refused.
   *
   * @returns the number of passkeys that were active or suspended; 0 for an unknown user
   * @throws Problem relying-party-unknown
   */
  async revoke(context: AuthorizedContext, rpId: string, userId: string, reason: string): Promise<number> {
    await this.parties.get(rpId);
    const revocation = { context, rpId, userId, reason };
    return this.dataSource.transaction(async (manager) => {
      const user = await this.users.lock(manager, rpId, userId);
      // Whoever asks for a revocation gets it, also of rows that something else changed.
      await this.userSeals.keepGenuine(context, user);
      if (user) await this.users.endRegistrations(manager, user);
      const revoked = await this.revokeAll(manager, revocation);
      const facts = { credentials: revoked, status_reason: reason };
      await this.audit.record(context, { type: 'user.revoke', outcome: 'success', rpId, userId, facts }, manager);
      return revoked;
    });
  }

  /** The order of the locks is that of the sign-ins. */
  private async revokeAll(manager: EntityManager, revocation: Revocation): Promise<number> {
    const { rpId, userId } = revocation;
    const rows = await manager.find(CredentialEntity, {
      where: { rpId, userId },
      order: { id: 'ASC' },
      lock: { mode: 'pessimistic_write' },
    });
    let revoked = 0;
    for (const row of rows) if (await this.revokeOne(manager, revocation, row)) revoked += 1;
    return revoked;
  }

  /**
   * Revokes a passkey. A row that something else changed keeps its seal, which holds for nothing: the service never confirms what
   * it did not write. It is revoked even if it says that it is, so that the log contradicts the row that was there before, if
   * somebody puts it back.
   *
   * @returns false: the row said that the passkey is revoked
   */
  private async revokeOne(
    manager: EntityManager,
    { context, reason }: Revocation,
    row: CredentialEntity,
  ): Promise<boolean> {
    const { aaguid, status: statusBefore } = row;
    const genuine = await this.bindings.verifyRow(context, row);
    if (genuine && statusBefore === 'revoked') return false;
    const version = Math.min(row.version, MOST_VERSION) + 1;
    const changed = { status: 'revoked' as const, statusReason: reason, statusChangedAt: this.clock.now(), version };
    const credential = Object.assign(row, changed);
    const facts = {
      ...{ aaguid, status_before: statusBefore, status: 'revoked', status_reason: reason },
      tampered: genuine ? undefined : true,
    };
    const stored = genuine ? this.bindings.seal(credential) : credential;
    await this.credentials.store(manager, context, stored, { type: 'credential.revoke', facts });
    return statusBefore !== 'revoked';
  }
}
