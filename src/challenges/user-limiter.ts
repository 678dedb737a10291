import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import { parseIdTime } from '../audit/audit-event.repository.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { BlockingEvents } from './challenge.repository.js';
import { CHALLENGES_COUNT_MS, recordLimit, REFUSALS_REST_MS } from './user-limits.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { completePolicy, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';

/** A challenge that was not issued, and the events that the statement found instead. */
interface BlockedChallenge {
  /** The event that would have recorded the challenge. */
  readonly entry: AuditEntry;
  readonly inTheWay: BlockingEvents;
  readonly policy: RelyingPartyPolicy;
  /** The time at which the statement counted. */
  readonly now: Date;
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
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem rate-limited */
  async refuse(context: AuthorizedContext, { entry, inTheWay, policy, now }: BlockedChallenge): Promise<never> {
    const [reason, detail, until] = findLongestLimit(inTheWay, completePolicy(policy).userLimits);
    const ceremony = entry.facts?.['ceremony'];
    const limit = {
      ...entry,
      type: 'challenge.limit',
      outcome: 'failure',
      reason,
      detail,
      facts: { ceremony },
    } as const;
    const event = this.audit.createRow(context, limit, now);
    if (await recordLimit(this.dataSource, event, ceremony, now)) this.audit.countEvent(event);
    const retryAfter = Math.max(1, Math.ceil((until - this.clock.now().getTime()) / 1_000));
    throw new Problem('rate-limited', { reason, detail, retryAfter });
  }
}

/** Finds the limit that lasts longest. */
function findLongestLimit(inTheWay: BlockingEvents, limits: RelyingPartyPolicy['userLimits']): Limit {
  const { challenge_in_the_way: challenge, refusal_in_the_way: refusal } = inTheWay;
  const held: Limit[] = [];
  if (challenge !== null) {
    const detail = `${String(limits.challengesPerMinute)} challenges were issued to the user within a minute`;
    held.push(['too-many-challenges', detail, parseIdTime(challenge) + CHALLENGES_COUNT_MS]);
  }
  if (refusal !== null) {
    const detail = `the last ${String(limits.refusalsPerHalfHour)} authentications of the user were refused`;
    held.push(['too-many-refusals', detail, parseIdTime(refusal) + REFUSALS_REST_MS]);
  }
  return held.reduce((longest, limit) => (limit[2] > longest[2] ? limit : longest));
}
