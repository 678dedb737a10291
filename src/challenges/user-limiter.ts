import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import { parseIdTime } from '../audit/audit-event.repository.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { ChallengePace } from './challenge-pace.js';
import type { Ceremony } from './challenge.js';
import { recordLimit, REFUSALS_REST_MS } from './user-limits.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { completePolicy, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';

/** A challenge that a caller asks for in the name of a user. */
interface AskedChallenge {
  readonly rpId: string;
  readonly userId: string;
  /** The pseudonym or stand-in of the user in the audit log. */
  readonly uid: string;
  readonly ceremony: Ceremony;
  readonly policy: RelyingPartyPolicy;
  readonly now: Date;
  /** Id of the refusal that blocks the user; null: none does. */
  readonly refusalInTheWay: string | null;
}

type LimitReason = 'too-many-challenges' | 'too-many-refusals';

/** `until` is in milliseconds since the Unix epoch. */
type Limit = readonly [reason: LimitReason, detail: string, until: number];

/** Refuses challenges to a user who is over a limit. It records that once a minute for each user and ceremony. */
@Injectable()
export class UserLimiter {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly pace: ChallengePace,
    private readonly audit: AuditService,
  ) {}

  /**
   * Counts the challenge, if the user is within the limits.
   *
   * @throws Problem rate-limited
   */
  async demandWithinLimits(context: AuthorizedContext, asked: AskedChallenge): Promise<void> {
    const limit = this.findLongestLimit(asked);
    if (!limit) return;
    const { rpId, userId, uid, ceremony, now } = asked;
    const [reason, detail, until] = limit;
    const entry: AuditEntry = {
      type: 'challenge.limit',
      outcome: 'failure',
      reason,
      detail,
      rpId,
      userId,
      facts: { ceremony },
    };
    const event = this.audit.createRow(context, entry, uid, now);
    if (await recordLimit(this.dataSource, event, ceremony, now)) this.audit.countEvent(event);
    const retryAfter = Math.max(1, Math.ceil((until - this.clock.now().getTime()) / 1_000));
    throw new Problem('rate-limited', { reason, detail, retryAfter });
  }

  /** Finds the limit that lasts longest. A challenge that a refusal blocks does not count. */
  private findLongestLimit({ policy, now, refusalInTheWay, ...key }: AskedChallenge): Limit | undefined {
    const { challengesPerMinute, refusalsPerHalfHour } = completePolicy(policy).userLimits;
    const paced =
      refusalInTheWay === null
        ? this.pace.take(key, challengesPerMinute, now.getTime())
        : this.pace.peek(key, challengesPerMinute, now.getTime());
    const held: Limit[] = [];
    if (paced !== undefined) {
      const detail = `${String(challengesPerMinute)} challenges were issued to the user within a minute`;
      held.push(['too-many-challenges', detail, paced]);
    }
    if (refusalInTheWay !== null) {
      const detail = `the last ${String(refusalsPerHalfHour)} authentications of the user were refused`;
      held.push(['too-many-refusals', detail, parseIdTime(refusalInTheWay) + REFUSALS_REST_MS]);
    }
    return held.toSorted((one, other) => other[2] - one[2])[0];
  }
}
