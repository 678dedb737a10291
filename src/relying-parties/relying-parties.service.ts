import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, In, IsNull, Not, Repository } from 'typeorm';
import type { ApprovalEntity, ChangeAction } from '../approvals/approval.entity.js';
import { ApprovalsService } from '../approvals/approvals.service.js';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { createMalformedProblem, Problem } from '../http/problem.js';
import type { PolicyDto } from './dto/policy.dto.js';
import type { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { findWarnings, type PolicyWarning } from './policy-warnings.js';
import { type RelyingPartyPolicy, completePolicy } from './relying-party-policy.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import {
  findPredecessors,
  findRelyingParties,
  lockRelyingParties,
  storeRelyingParty,
} from './relying-party.repository.js';
import { RelyingPartySeals, type StoredRelyingParty } from './relying-party-seals.js';
import { type CompleteSettings, listChanges } from './setting-changes.js';
import { completeSuccessor, findFlaw, hasEnded } from './successor.js';

export interface PutOutcome {
  readonly party: RelyingPartyEntity;
  readonly created: boolean;
  /** If present, nothing is stored until somebody approves this request. */
  readonly approval?: ApprovalEntity;
  /** What the change takes away without saying so. */
  readonly warnings: PolicyWarning[];
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

  /** @throws Problem relying-party-unknown; relying-party-denied if it is switched off, or has ended */
  async getEnabled(rpId: string): Promise<RelyingPartyEntity> {
    const party = await this.get(rpId);
    if (!party.enabled) throw new Problem('relying-party-denied', { detail: `${rpId} is switched off` });
    if (this.hasEnded(party)) {
      const { rpId: successor, endsAt } = party.successor!;
      const detail = `${rpId} has ended at ${String(endsAt)}, and ${successor} succeeds it: use a passkey of ${successor}`;
      throw new Problem('relying-party-denied', { detail });
    }
    return party;
  }

  /**
   * Lists the relying parties that have a successor.
   *
   * @returns also the number of those that fail their integrity check, of which it tells nothing
   */
  async listSuccessions(): Promise<{ parties: RelyingPartyEntity[]; tampered: number }> {
    const found = await findRelyingParties(this.parties.manager, { successor: Not(IsNull()) });
    const parties = found.filter((each) => this.seals.isGenuine(each)).map(({ party }) => party);
    return { parties, tampered: found.length - parties.length };
  }

  hasEnded(party: RelyingPartyEntity): boolean {
    return hasEnded(party, this.clock.now());
  }

  /**
   * Finds the warnings of relying parties, in their order. Of a successor that the caller may not act for they tell nothing.
   *
   * @param relyingParties those that the caller may act for; null: all
   */
  async listWarnings(
    relyingParties: AuthorizedContext['relyingParties'],
    parties: readonly RelyingPartyEntity[],
    manager = this.parties.manager,
  ): Promise<PolicyWarning[][]> {
    const named = parties.flatMap(({ successor }) => (successor ? [successor.rpId] : []));
    const seen = named.filter((rpId) => relyingParties?.includes(rpId) ?? true);
    const found = seen.length > 0 ? await findRelyingParties(manager, { rpId: In(seen) }) : [];
    const genuine = new Map(found.filter((each) => this.seals.isGenuine(each)).map(({ party }) => [party.rpId, party]));
    return parties.map((party) => {
      const rpId = party.successor?.rpId;
      const successor = rpId !== undefined && seen.includes(rpId) ? (genuine.get(rpId) ?? null) : undefined;
      return findWarnings(party, { successor, hasEnded: this.hasEnded(party) });
    });
  }

  /**
   * Creates the relying party, or replaces its settings. Members that are absent take their defaults. Settings equal to
   * the stored ones change nothing, unless the row fails its integrity check. If the access policy says so, a change that
   * weakens the verification of ceremonies waits for an approval.
   *
   * @param context null: the service itself at boot
   * @throws Problem relying-party-conflict if `settings.version` is not the stored version; request-malformed: the successor
   * cannot be one
   */
  put(context: AuthorizedContext | null, rpId: string, settings: PutRelyingPartyDto): Promise<PutOutcome> {
    return this.parties.manager.transaction(async (manager) => {
      const stored = await this.lock(manager, rpId, settings);
      const party = this.applySettings(rpId, stored, settings);
      if (party === stored?.party) return { party, created: false, warnings: [] };
      await this.demandSuccessor(manager, party);
      const approval = context && stored && (await this.requestApproval(manager, context, stored, party));
      const warnings = this.warnOfChange(stored, party);
      if (approval) return { party, created: false, approval, warnings };
      await this.store(manager, context, party);
      return { party, created: !stored, warnings };
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
    const action = JSON.parse(approval.action) as ChangeAction;
    const { version } = action;
    const settings = action.settings as PutRelyingPartyDto;
    const stored = await this.lock(manager, rpId, settings);
    const present = stored?.party.version ?? 0;
    if (present !== version) {
      const detail = `the relying party has changed since: its version is ${String(present)}, not ${String(version)}`;
      throw new Problem('approval-state', { detail });
    }
    const party = this.applySettings(rpId, stored, settings);
    const flaw = await this.findFlaw(manager, party);
    if (flaw !== undefined) throw new Problem('approval-state', { detail: `since the request, the successor ${flaw}` });
    await this.store(manager, context, party, approval);
  }

  /** Locks the relying party and the successor that it is to have, so nobody makes a chain of two changes at the same time. */
  private async lock(
    manager: EntityManager,
    rpId: string,
    { successor }: PutRelyingPartyDto,
  ): Promise<StoredRelyingParty | undefined> {
    await lockRelyingParties(manager, successor ? [rpId, successor.rpId] : [rpId]);
    const [stored] = await findRelyingParties(manager, { rpId });
    return stored;
  }

  /** @throws Problem request-malformed */
  private async demandSuccessor(manager: EntityManager, party: RelyingPartyEntity): Promise<void> {
    const flaw = await this.findFlaw(manager, party);
    if (flaw !== undefined) throw createMalformedProblem(flaw, '/successor/rpId');
  }

  private async findFlaw(manager: EntityManager, party: RelyingPartyEntity): Promise<string | undefined> {
    if (!party.successor) return undefined;
    const named = await findRelyingParties(manager, { rpId: party.successor.rpId });
    const others = [...named, ...(await findPredecessors(manager, party.rpId))];
    const genuine = others.filter((each) => this.seals.isGenuine(each));
    return findFlaw(
      party,
      genuine.map((each) => each.party),
    );
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
    const [warnings = []] = await this.listWarnings(null, [party], manager);
    const warned = warnings.length > 0 ? warnings.map(({ pointer }) => pointer) : undefined;
    const facts = {
      ...{
        version: party.version,
        ...completeSettings(party),
        successor: party.successor ?? undefined,
        warnings: warned,
      },
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
   * @throws Problem in the same cases as `put`
   */
  async propose(rpId: string, settings: PutRelyingPartyDto): Promise<Pick<PutOutcome, 'party' | 'warnings'>> {
    const [stored] = await findRelyingParties(this.parties.manager, { rpId });
    const party = this.applySettings(rpId, stored, settings);
    await this.demandSuccessor(this.parties.manager, party);
    return { party, warnings: this.warnOfChange(stored, party) };
  }

  /** Warns whoever PUTs settings without knowing of successors, or of this one. */
  private warnOfChange(stored: StoredRelyingParty | undefined, party: RelyingPartyEntity): PolicyWarning[] {
    const successor = stored && this.seals.isGenuine(stored) ? stored.party.successor : null;
    if (!successor || party.successor) return [];
    const detail = `${successor.rpId} is the successor no longer, because the body names none: a PUT replaces all settings`;
    return [{ pointer: '/successor', detail }];
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
const NO_SETTINGS: CompleteSettings = {
  ...{ name: '', origins: [], enabled: false, successor: null },
  policy: completePolicy({}),
};

function completeSettings({
  name,
  origins,
  enabled,
  policy,
  successor,
}: PutRelyingPartyDto | RelyingPartyEntity): CompleteSettings {
  return {
    name,
    origins,
    enabled: enabled ?? true,
    policy: completePolicy(toPolicy(policy ?? {})),
    successor: completeSuccessor(successor),
  };
}

/** The purposes of a request are a Map, those of stored settings an object. */
function toPolicy(policy: PolicyDto | RelyingPartyPolicy): Partial<RelyingPartyPolicy> {
  const { purposes } = policy;
  if (!(purposes instanceof Map)) return policy as RelyingPartyPolicy;
  return Object.assign({}, policy, { purposes: Object.fromEntries(purposes) }) as Partial<RelyingPartyPolicy>;
}
