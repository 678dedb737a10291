import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, Repository } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext, RequestContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import type { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { findWarnings } from './policy-warnings.js';
import { type RelyingPartyPolicy, completePolicy } from './relying-party-policy.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import { lockRelyingParty } from './relying-party.repository.js';

/** Stores relying parties with their origins and their policy for ceremonies. */
@Injectable()
export class RelyingPartiesService {
  private readonly logger = new Logger(RelyingPartiesService.name);

  constructor(
    @InjectRepository(RelyingPartyEntity) private readonly parties: Repository<RelyingPartyEntity>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  list({ relyingParties }: AuthorizedContext): Promise<RelyingPartyEntity[]> {
    const where = relyingParties === null ? {} : { rpId: In([...relyingParties]) };
    return this.parties.find({ where, order: { rpId: 'ASC' }, take: 1_000 });
  }

  /** @throws Problem relying-party-unknown */
  async get(rpId: string): Promise<RelyingPartyEntity> {
    const party = await this.parties.findOneBy({ rpId });
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
   * the stored ones change nothing.
   *
   * @throws Problem relying-party-conflict if `settings.version` is not the stored version
   */
  put(
    context: RequestContext | null,
    rpId: string,
    settings: PutRelyingPartyDto,
  ): Promise<{ party: RelyingPartyEntity; created: boolean }> {
    return this.parties.manager.transaction(async (manager) => {
      await lockRelyingParty(manager, rpId);
      const stored = await manager.findOneBy(RelyingPartyEntity, { rpId });
      const party = this.applySettings(rpId, stored, settings);
      if (party === stored) return { party, created: false };
      await manager.save(party);
      const type = stored ? 'relying-party.update' : 'relying-party.create';
      const warnings = findWarnings(party);
      const warned = warnings.length > 0 ? warnings.map(({ pointer }) => pointer) : undefined;
      const facts = { version: party.version, ...completeSettings(party), warnings: warned };
      await this.audit.record(context, { type, outcome: 'success', rpId, facts }, manager);
      if (warnings.length > 0)
        this.logger.warn({ message: 'the settings of a relying party have warnings', rpId, warnings });
      return { party, created: !stored };
    });
  }

  /**
   * Returns the relying party as `put` would store it, and stores nothing.
   *
   * @throws Problem relying-party-conflict in the same cases as `put`
   */
  async propose(rpId: string, settings: PutRelyingPartyDto): Promise<RelyingPartyEntity> {
    return this.applySettings(rpId, await this.parties.findOneBy({ rpId }), settings);
  }

  /** @returns `stored` itself if the settings change nothing */
  private applySettings(
    rpId: string,
    stored: RelyingPartyEntity | null,
    settings: PutRelyingPartyDto,
  ): RelyingPartyEntity {
    if (settings.version !== undefined && settings.version !== (stored?.version ?? 0)) {
      throw new Problem('relying-party-conflict', { detail: `its version is ${String(stored?.version ?? 0)}` });
    }
    const wanted = completeSettings(settings);
    if (stored && isDeepStrictEqual(completeSettings(stored), wanted)) return stored;
    const now = this.clock.now();
    const version = (stored?.version ?? 0) + 1;
    return this.parties.create({ rpId, ...wanted, version, createdAt: stored?.createdAt ?? now, updatedAt: now });
  }
}

type CompleteSettings = Pick<RelyingPartyEntity, 'name' | 'origins' | 'enabled' | 'policy'>;

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
    policy: completePolicy((policy ?? {}) as Partial<RelyingPartyPolicy>),
  };
}
