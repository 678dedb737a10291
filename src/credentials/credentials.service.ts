import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, In, type FindOptionsWhere, Repository } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import type { AuditEntry, AuditEventType } from '../audit/audit-entry.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { decodeCursor, encodeCursor, type Page } from '../http/page.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { Outbox } from '../signals/outbox.repository.js';
import { CredentialBindings } from './credential-bindings.js';
import { listSignals } from './credential-signals.js';
import { CredentialEntity, type TransitionName, TRANSITIONS } from './credential.entity.js';
import { CredentialRepository } from './credential.repository.js';
import { CredentialResponse } from './dto/credential.response.js';
import type { ListCredentialsQuery } from './dto/list-credentials.query.js';

/**
 * Reads credentials, renames them and changes their status. Every method is limited to the relying parties of the
 * caller.
 */
@Injectable()
export class CredentialsService {
  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    private readonly lists: CredentialRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly bindings: CredentialBindings,
    private readonly authenticators: AuthenticatorsService,
    private readonly audit: AuditService,
    private readonly outbox: Outbox,
  ) {}

  /** Lists credentials, the oldest first. A row that fails its integrity check is reported and left out. */
  async list(context: AuthorizedContext, query: ListCredentialsQuery): Promise<Page<CredentialResponse>> {
    const { limit, cursor, ...filters } = query;
    const { relyingParties } = context;
    const page = await this.lists.list({ ...filters, relyingParties }, { after: decodeCursor(cursor), limit });
    const genuine = await this.bindings.keepGenuine(context, page.rows);
    return {
      data: genuine.map((row) => CredentialResponse.of(row, this.authenticators.findLabel(row.aaguid))),
      nextCursor: encodeCursor(page.last),
    };
  }

  /** @throws Problem credential-unknown */
  async get(context: AuthorizedContext, id: string): Promise<CredentialEntity> {
    return this.demandGenuine(context, await this.credentials.findOneBy({ ...limitToCaller(context), id }));
  }

  /** @throws Problem credential-unknown; credential-state if the credential is revoked */
  rename(context: AuthorizedContext, id: string, name: string): Promise<CredentialEntity> {
    return this.change(context, id, 'credential.rename', (credential) => {
      if (credential.status === 'revoked') throw createStateProblem(credential, 'renamed');
      credential.name = name;
      return {};
    });
  }

  /** @throws Problem credential-unknown; credential-state if its status does not allow the transition */
  transition(
    context: AuthorizedContext,
    id: string,
    transition: TransitionName,
    reason: string,
  ): Promise<CredentialEntity> {
    return this.change(context, id, `credential.${transition}`, (credential) => {
      const { from, to } = TRANSITIONS[transition];
      if (!(from as readonly string[]).includes(credential.status)) throw createStateProblem(credential, to);
      const { aaguid, status: statusBefore } = credential;
      const facts = { aaguid, status_before: statusBefore, status: to, status_reason: reason };
      Object.assign(credential, { status: to, statusReason: reason, statusChangedAt: this.clock.now() });
      return facts;
    });
  }

  /**
   * Changes a credential, records the event and tells receivers, in one transaction.
   *
   * @param apply changes the row, and returns the facts of the event
   * @throws Problem credential-unknown, and what `apply` throws
   */
  async change(
    context: AuthorizedContext,
    id: string,
    type: AuditEventType,
    apply: (credential: CredentialEntity) => Record<string, unknown>,
  ): Promise<CredentialEntity> {
    await this.get(context, id);
    return this.credentials.manager.transaction(async (manager) => {
      const where = { ...limitToCaller(context), id };
      const credential = await manager.findOne(CredentialEntity, { where, lock: { mode: 'pessimistic_write' } });
      if (!credential || !this.bindings.isGenuine(credential)) throw new Problem('credential-unknown');
      const changes = apply(credential);
      credential.version += 1;
      await this.store(manager, context, this.bindings.seal(credential), { type, facts: changes });
      return credential;
    });
  }

  /** Stores a locked credential that was changed, records the event and tells receivers. */
  async store(
    manager: EntityManager,
    context: AuthorizedContext,
    credential: CredentialEntity,
    { type, facts }: Pick<AuditEntry, 'type' | 'facts'>,
  ): Promise<void> {
    const { rpId, id, userId, name, status, statusReason, statusChangedAt, browserKeys, version, bindingMac } =
      credential;
    const changed = { name, status, statusReason, statusChangedAt, browserKeys, version, bindingMac };
    await manager.update(CredentialEntity, { rpId, id }, changed);
    const credentialIds = { id, credentialId: credential.credentialId.toString('base64url') };
    await this.audit.record(
      context,
      {
        ...{ type, outcome: 'success', rpId, userId, credential: credentialIds },
        facts: { ...facts, credential_version: version },
      },
      manager,
    );
    await this.outbox.write(
      manager,
      listSignals(context, type, credential, this.clock.now(), facts?.['status_reason']),
    );
  }

  private async demandGenuine(
    context: AuthorizedContext,
    credential: CredentialEntity | null,
  ): Promise<CredentialEntity> {
    if (!credential || !(await this.bindings.verifyRow(context, credential))) throw new Problem('credential-unknown');
    return credential;
  }
}

/** Limits a query to the relying parties of the caller. */
function limitToCaller({ relyingParties }: AuthorizedContext): FindOptionsWhere<CredentialEntity> {
  return relyingParties === null ? {} : { rpId: In([...relyingParties]) };
}

function createStateProblem({ status }: CredentialEntity, wanted: string): Problem {
  return new Problem('credential-state', { detail: `a credential that is ${status} cannot be ${wanted}` });
}
