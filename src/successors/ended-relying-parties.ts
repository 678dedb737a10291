import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { hasEnded } from '../relying-parties/successor.js';
import { type CountedUsers, takeEnd } from './succession.repository.js';
import { addUp } from './user-count.js';

/** Records that relying parties have ended, each end once, whichever replica comes first. */
@Injectable()
export class EndedRelyingParties {
  private readonly logger = new Logger(EndedRelyingParties.name);

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  /** @param counted the last count of its users; undefined: there is none */
  async record(party: RelyingPartyEntity, counted: CountedUsers | undefined): Promise<void> {
    const { rpId, version, successor } = party;
    if (!successor?.endsAt || !hasEnded(party, this.clock.now())) return;
    const { endsAt, rpId: next } = successor;
    const left = counted && addUp(counted.users.onlyHere);
    const isFirst = await this.dataSource.transaction(async (manager) => {
      if (!(await takeEnd(manager, rpId, new Date(endsAt)))) return false;
      const facts = { version, successor: next, ended_at: endsAt, users_without_successor: left };
      await this.audit.record(null, { type: 'relying-party.end', outcome: 'success', rpId, facts }, manager);
      return true;
    });
    if (isFirst) this.logger.warn({ message: 'a relying party has ended', rpId, successor: next, endsAt, left });
  }
}
