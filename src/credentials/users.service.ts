import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { And, type EntityManager, In, Not, Repository } from 'typeorm';
import { ApprovalSubjects } from '../approvals/approval-subjects.js';
import type { ApprovalEntity } from '../approvals/approval.entity.js';
import { ApprovalsService } from '../approvals/approvals.service.js';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import { UNKNOWN_HANDLE } from '../challenges/held-handle.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { UserHandleRepository } from '../challenges/user-handle.repository.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { Outbox } from '../signals/outbox.repository.js';
import { CredentialBindings } from './credential-bindings.js';
import { listSignals } from './credential-signals.js';
import { CredentialEntity } from './credential.entity.js';

/** The argument of `PublicKeyCredential.signalAllAcceptedCredentials()` (WebAuthn L3 §5.1.10). */
interface AcceptedCredentials {
  rpId: string;
  /** The user handle, base64url. */
  userId: string;
  allAcceptedCredentialIds: string[];
}

export interface UserSignals {
  allAcceptedCredentials: AcceptedCredentials;
  /** For the other handles by which authenticators know the user's imported passkeys. Absent: there are none. */
  otherHandles?: AcceptedCredentials[];
}

/** An operator has to repair the row first, so an earlier attempt fails, too. */
const RETRY_SECONDS = 60;

/** Operations on a user of a relying party as a whole. */
@Injectable()
export class UsersService implements OnModuleInit {
  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    @InjectRepository(UserHandleEntity) private readonly handles: Repository<UserHandleEntity>,
    private readonly users: UserHandleRepository,
    private readonly parties: RelyingPartiesService,
    private readonly bindings: CredentialBindings,
    private readonly userSeals: UserSeals,
    private readonly audit: AuditService,
    private readonly approvals: ApprovalsService,
    private readonly subjects: ApprovalSubjects,
    private readonly outbox: Outbox,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.approvals.define('passkeys:erase', (...approved) => this.eraseApproved(...approved));
  }

  /**
   * Lists the credentials that a client keeps. A suspended one is still listed, because the client must not forget it.
   * The client forgets passkeys that are not listed, so there is a list only if every row of the user is as the service
   * wrote it, revoked ones included.
   *
   * @throws Problem relying-party-unknown; not-found for a user who never began a registration; unavailable
   */
  async listSignals(context: AuthorizedContext, rpId: string, userId: string): Promise<UserSignals> {
    await this.parties.get(rpId);
    const row = await this.handles.findOneBy({ rpId, userId });
    if (!row) throw new Problem('not-found', { detail: 'the relying party has no such user' });
    const rows = await this.credentials.find({ where: { rpId, userId }, order: { id: 'ASC' } });
    const user = await this.userSeals.keepGenuine(context, row);
    if (!user || !(await this.bindings.verifyRows(context, rows))) {
      const detail = 'a record of the user fails its integrity check, so the list of passkeys to keep is unknown';
      throw new Problem('unavailable', { detail, retryAfter: RETRY_SECONDS });
    }
    const accepted = rows.filter(({ status }) => status !== 'revoked');
    const allAcceptedCredentialIds = accepted.map(({ credentialId }) => credentialId.toString('base64url'));
    // Each argument lists all of them: a client compares only the passkeys of the argument's handle with the list.
    const make = (handle: string): AcceptedCredentials => ({ rpId, userId: handle, allAcceptedCredentialIds });
    const others = await this.listOtherHandles(rpId, userId, rows);
    const allAcceptedCredentials = make(user.handle.toString('base64url'));
    return { allAcceptedCredentials, ...(others.length > 0 && { otherHandles: others.map(make) }) };
  }

  /**
   * Lists the handles that authenticators hold for passkeys of the user, revoked ones included, besides the user's own: base64url.
   * Only what an authenticator told says which handle it is, so it may be that of another user: it is left out, because a client
   * would forget the passkeys of that user.
   */
  private async listOtherHandles(rpId: string, userId: string, rows: readonly CredentialEntity[]): Promise<string[]> {
    const held = rows.flatMap(({ userHandle }) => (userHandle && userHandle.length > 0 ? [userHandle] : []));
    if (held.length === 0) return [];
    const [owners, holders] = await Promise.all([
      this.handles.find({ select: { handle: true }, where: { rpId, handle: In(held) } }),
      this.credentials.find({
        select: { userHandle: true },
        where: { rpId, userId: Not(userId), userHandle: And(In(held), Not(UNKNOWN_HANDLE)) },
      }),
    ]);
    const taken = [...owners.map(({ handle }) => handle), ...holders.map(({ userHandle }) => userHandle!)];
    const excluded = new Set(taken.map((handle) => handle.toString('base64url')));
    return [...new Set(held.map((handle) => handle.toString('base64url')))].filter((handle) => !excluded.has(handle));
  }

  /**
   * Erases the user, or makes a request for an approval if the access policy says so. There is nothing to approve for an
   * unknown user: the erasure succeeds and is recorded.
   *
   * @returns null if the user is erased
   * @throws Problem relying-party-unknown
   */
  async erase(context: AuthorizedContext, rpId: string, userId: string): Promise<ApprovalEntity | null> {
    await this.parties.get(rpId);
    return this.credentials.manager.transaction(async (manager) => {
      const user = await this.users.lock(manager, rpId, userId);
      // Whoever asks for an erasure gets it, also of a row that something else changed.
      await this.userSeals.keepGenuine(context, user);
      const action = user && this.subjects.describeErasure(user);
      const permission = 'passkeys:erase';
      const approval = action && (await this.approvals.request(manager, context, { permission, rpId, userId, action }));
      if (!approval) await this.deleteUser(manager, context, rpId, userId);
      return approval;
    });
  }

  private async eraseApproved(
    manager: EntityManager,
    context: AuthorizedContext,
    approval: ApprovalEntity,
  ): Promise<void> {
    const rpId = approval.rpId!;
    const userId = await this.subjects.findUserId(manager, approval);
    const user = userId === null ? null : await this.users.lock(manager, rpId, userId);
    // A user who was erased and registered again while this transaction waited has another pseudonym.
    const isSame = user && (await this.subjects.findUserId(manager, approval)) === userId;
    if (!isSame) throw new Problem('approval-state', { detail: 'the user was erased since the request' });
    await this.deleteUser(manager, context, rpId, user.userId, approval);
  }

  /**
   * Deletes the user's credentials and handle. A challenge that is open finds neither, so nobody can answer it. The
   * pseudonym goes with the handle, so nobody can tell the user's events in the audit log from those of others.
   */
  private async deleteUser(
    manager: EntityManager,
    context: AuthorizedContext,
    rpId: string,
    userId: string,
    approval?: ApprovalEntity,
  ): Promise<void> {
    const credentials = await manager.find(CredentialEntity, { where: { rpId, userId }, order: { id: 'ASC' } });
    const now = this.clock.now();
    const signals = credentials.flatMap((credential) => listSignals(context, 'user.erase', credential, now));
    await this.outbox.write(manager, signals);
    await this.outbox.forgetSubject(manager, rpId, userId);
    const { affected } = await manager.delete(CredentialEntity, { rpId, userId });
    // The event is recorded before the handle is deleted, so that it carries the pseudonym of the user.
    const facts = { credentials: affected ?? 0, requested_by: approval?.requestedBy };
    const entry = { type: 'user.erase', outcome: 'success', rpId, userId, approvalId: approval?.id, facts } as const;
    await this.audit.record(context, entry, manager);
    await manager.delete(UserHandleEntity, { rpId, userId });
  }
}
