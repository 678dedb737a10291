import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, In, Repository } from 'typeorm';
import type { ApprovalEntity, ChangeAction } from '../approvals/approval.entity.js';
import { ApprovalsService } from '../approvals/approvals.service.js';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import type { PolicyDto } from './dto/policy.dto.js';
import type { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { findWarnings } from './policy-warnings.js';
import { type RelyingPartyPolicy, completePolicy } from './relying-party-policy.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import { findRelyingParties, lockRelyingParty, storeRelyingParty } from './relying-party.repository.js';
import { RelyingPartySeals, type StoredRelyingParty } from './relying-party-seals.js';
import { type CompleteSettings, listChanges } from './setting-changes.js';

export interface PutOutcome {
  readonly party: RelyingPartyEntity;
  readonly created: boolean;
  /** If present, nothing is stored until somebody approves this request. */
  readonly approval?: ApprovalEntity;
}

/** Stores relying parties with their origins and their policy for ceremonies. */
@Injectable()
export class RelyingPartiesService implements OnModuleInit {
  private readonly logger = new Logger(RelyingPartiesService.name);

  constructor(
    @InjectRepository(RelyingPartyEntity) private readonly parties: Repository<RelyingPartyEntity>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly approvals: ApprovalsService,
    private readonly seals: RelyingPartySeals,
  ) {}

  onModuleInit(): void {
    this.approvals.define('relying-parties:write', (...approved) => this.putApproved(...approved));
  }

  /** Lists the relying parties that the caller may act for, without those that fail their integrity check. */
  async list({ relyingParties }: AuthorizedContext): Promise<RelyingPartyEntity[]> {
    const where = relyingParties === null ? {} : { rpId: In([...relyingParties]) };
    return this.seals.keepGenuine(await findRelyingParties(this.parties.manager, where));
  }

  /** @throws Problem relying-party-unknown, also if the row fails its integrity check */
  async get(rpId: string): Promise<RelyingPartyEntity> {
    const [party] = await this.seals.keepGenuine(await findRelyingParties(this.parties.manager, { rpId }));
    if (!party) throw new Problem('relying-party-unknown');
    return party;
  }

  /** @throws Problem relying-party-unknown; relying-party-denied if it is switched off */
  async getEnabled(rpId: string): Promise<RelyingPartyEntity> {
    const party = await this.get(rpId);
    if (!party.enabled) throw new Problem('relying-party-denied', { detail: `${rpId} is switched off` });
    return party;
  }

  /**
   * Creates the relying party, or replaces its settings. Members that are absent take their defaults. Settings equal to
   * the stored ones change nothing, unless the row fails its integrity check. If the access policy says so, a change that
   * weakens the verification of ceremonies waits for an approval.
   *
   * @param context null: the service itself at boot
   * @throws Problem relying-party-conflict if `settings.version` is not the stored version
   */
  put(context: AuthorizedContext | null, rpId: string, settings: PutRelyingPartyDto): Promise<PutOutcome> {
    return this.parties.manager.transaction(async (manager) => {
      await lockRelyingParty(manager, rpId);
      const [stored] = await findRelyingParties(manager, { rpId });
      const party = this.applySettings(rpId, stored, settings);
      if (party === stored?.party) return { party, created: false };
      const approval = context && stored && (await this.requestApproval(manager, context, stored, party));
      if (approval) return { party, created: false, approval };
      await this.store(manager, context, party);
      return { party, created: !stored };
    });
  }

  /** @returns null if the change needs no approval */
  private async requestApproval(
    manager: EntityManager,
    context: AuthorizedContext,
    stored: StoredRelyingParty,
    party: RelyingPartyEntity,
  ): Promise<ApprovalEntity | null> {
    const settings = completeSettings(party);
    const { version } = stored.party;
    // Nobody knows what a row was that fails its integrity check, so anything may weaken it.
    const genuine = this.seals.isGenuine(stored);
    const changes = listChanges(genuine ? completeSettings(stored.party) : NO_SETTINGS, settings);
    const weakens = changes.filter((change) => change.weakens || !genuine).map(({ pointer }) => pointer);
    if (weakens.length === 0) return null;
    const action: ChangeAction = { version, changes, settings };
    const facts = { version, weakens };
    return this.approvals.request(manager, context, {
      permission: 'relying-parties:write',
      rpId: party.rpId,
      action,
      facts,
    });
  }

  private async putApproved(
    manager: EntityManager,
    context: AuthorizedContext,
    approval: ApprovalEntity,
  ): Promise<void> {
    const rpId = approval.rpId!;
    const { version, settings } = JSON.parse(approval.action) as ChangeAction;
    await lockRelyingParty(manager, rpId);
    const [stored] = await findRelyingParties(manager, { rpId });
    const present = stored?.party.version ?? 0;
    if (present !== version) {
      const detail = `the relying party has changed since: its version is ${String(present)}, not ${String(version)}`;
      throw new Problem('approval-state', { detail });
    }
    await this.store(manager, context, this.applySettings(rpId, stored, settings as PutRelyingPartyDto), approval);
  }

  /** Stores a new version, with its event. */
  private async store(
    manager: EntityManager,
    context: AuthorizedContext | null,
    party: RelyingPartyEntity,
    approval?: ApprovalEntity,
  ): Promise<void> {
    const { rpId } = party;
    await storeRelyingParty(manager, this.seals.seal(party));
    const type = party.version > 1 ? 'relying-party.update' : 'relying-party.create';
    const warnings = findWarnings(party);
    const warned = warnings.length > 0 ? warnings.map(({ pointer }) => pointer) : undefined;
    const facts = {
      ...{ version: party.version, ...completeSettings(party), warnings: warned },
      requested_by: approval?.requestedBy,
    };
    const entry = { type, outcome: 'success', rpId, approvalId: approval?.id, facts } as const;
    await this.audit.record(context, entry, manager);
    if (warnings.length > 0)
      this.logger.warn({ message: 'the settings of a relying party have warnings', rpId, warnings });
  }

  /**
   * Returns the relying party as `put` would store it, and stores nothing.
   *
   * @throws Problem relying-party-conflict in the same cases as `put`
   */
  async propose(rpId: string, settings: PutRelyingPartyDto): Promise<RelyingPartyEntity> {
    const [stored] = await findRelyingParties(this.parties.manager, { rpId });
    return this.applySettings(rpId, stored, settings);
  }

  /** @returns the stored one itself if the settings change nothing */
  private applySettings(
    rpId: string,
    found: StoredRelyingParty | undefined,
    settings: PutRelyingPartyDto,
  ): RelyingPartyEntity {
    const stored = found?.party;
    if (settings.version !== undefined && settings.version !== (stored?.version ?? 0)) {
      throw new Problem('relying-party-conflict', { detail: `its version is ${String(stored?.version ?? 0)}` });
    }
    const wanted = completeSettings(settings);
    const genuine = found !== undefined && this.seals.isGenuine(found);
    if (stored && genuine && isDeepStrictEqual(completeSettings(stored), wanted)) return stored;
    const now = this.clock.now();
    const createdAt = stored && genuine ? stored.createdAt : now;
    const version = stored ? nextVersion(stored.version) : 1;
    return this.parties.create({ rpId, ...wanted, version, createdAt, updatedAt: now });
  }
}

/** SQL may have set any number, and the column holds none that is larger. */
function nextVersion(version: number): number {
  return version >= 1 && version < 2_147_483_647 ? version + 1 : 1;
}

/** The settings that a row counts as whose own are not known. */
const NO_SETTINGS: CompleteSettings = { name: '', origins: [], enabled: false, policy: completePolicy({}) };

function completeSettings({
  name,
  origins,
  enabled,
  policy,
}: PutRelyingPartyDto | RelyingPartyEntity): CompleteSettings {
  return {
    name,
    origins,
    enabled: enabled ?? true,
    policy: completePolicy(toPolicy(policy ?? {})),
  };
}

/** The purposes of a request are a Map, those of stored settings an object. */
function toPolicy(policy: PolicyDto | RelyingPartyPolicy): Partial<RelyingPartyPolicy> {
  const { purposes } = policy;
  if (!(purposes instanceof Map)) return policy as RelyingPartyPolicy;
  return Object.assign({}, policy, { purposes: Object.fromEntries(purposes) }) as Partial<RelyingPartyPolicy>;
}
