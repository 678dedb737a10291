import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import type { Ceremony } from './challenge.js';

/** Interval at which counts are recorded. A process that is killed loses those since the last time. */
const WRITE_MS = 60_000;
/** Maximum number of counts of their own, for relying parties and the identities that the access policy names. */
const MAX_COUNTS = 2_000;

interface Count {
  /** Absent in the count that all further relying parties and identities share. */
  readonly rpId?: string;
  readonly issuedTo?: string;
  readonly ceremony: Ceremony;
  issued: number;
  answered: number;
  /** The time of the first challenge or answer that is counted. */
  since: Date;
}

/**
 * Counts issued and answered challenges, because issuing one leaves no event of its own. Every minute it records a
 * `challenge.summary` for each relying party, identity and ceremony that has a count.
 *
 * An answer may reach another replica than the one that issued the challenge, and in another minute. So one summary may
 * have more answers than challenges. The sum over all replicas and minutes of `issued` minus `answered` is the number of
 * challenges that were never answered, and of those that can still be.
 *
 * If a count cannot be recorded, it waits for the next time. If the connection breaks before the service learns of a
 * commit, the sums are wrong by it: too high if it was a summary, which is recorded again, and too low in `answered` if it
 * was an outcome.
 */
@Injectable()
export class ChallengeCounts implements OnApplicationBootstrap {
  private readonly logger = new Logger(ChallengeCounts.name);
  private readonly counts = new Map<string, Count>();
  private writing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.write().catch((error: unknown) => {
        this.logger.warn({ message: 'counts of challenges wait to be recorded', ...this.sum(), error });
      });
    }, WRITE_MS).unref();
  }

  /** @param spiffeId the identity that the challenge was issued to */
  countIssued(rpId: string, spiffeId: string, ceremony: Ceremony): void {
    this.getCount(rpId, spiffeId, ceremony).issued += 1;
    this.metrics.challengesIssued.inc({ ceremony });
  }

  /** @param spiffeId the identity that the challenge was issued to */
  countAnswered(rpId: string, spiffeId: string, ceremony: Ceremony): void {
    this.getCount(rpId, spiffeId, ceremony).answered += 1;
  }

  /** Records everything that is counted so far, after a write that is under way. */
  async write(): Promise<void> {
    const writing = this.writing.then(() => this.writeCounts());
    this.writing = writing.catch(() => undefined);
    await writing;
  }

  /** Stops the timer and records the counts. Call it when no challenge is issued or answered any more. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.write().catch((error: unknown) => {
      this.logger.error({ message: 'counts of challenges are lost', ...this.sum(), error });
    });
  }

  private getCount(rpId: string, issuedTo: string, ceremony: Ceremony): Count {
    // Neither RP IDs nor SPIFFE IDs have spaces.
    const key = `${ceremony} ${rpId} ${issuedTo}`;
    const known = this.counts.get(key);
    if (known) return known;
    return this.counts.size < MAX_COUNTS
      ? this.addCount(key, { rpId, issuedTo, ceremony })
      : (this.counts.get(ceremony) ?? this.addCount(ceremony, { ceremony }));
  }

  private addCount(key: string, of: Pick<Count, 'rpId' | 'issuedTo' | 'ceremony'>): Count {
    const count = { ...of, issued: 0, answered: 0, since: this.clock.now() };
    this.counts.set(key, count);
    return count;
  }

  /** Writes one record after the other until one fails. Its count comes last the next time, so it holds up no other. */
  private async writeCounts(): Promise<void> {
    for (const [key, count] of [...this.counts]) {
      this.counts.delete(key);
      try {
        await this.writeOne(count);
      } catch (error) {
        this.putBack(key, count);
        throw error;
      }
    }
  }

  private async writeOne({ rpId, issuedTo, ceremony, issued, answered, since }: Count): Promise<void> {
    const facts = { issued_to: issuedTo, ceremony, issued, answered, since: since.toISOString() };
    await this.audit.record(null, { type: 'challenge.summary', outcome: 'success', rpId, facts });
  }

  /** Puts a count back that could not be recorded, together with what was counted meanwhile. */
  private putBack(key: string, count: Count): void {
    const { issued, answered } = this.counts.get(key) ?? { issued: 0, answered: 0 };
    this.counts.delete(key);
    this.counts.set(key, { ...count, issued: count.issued + issued, answered: count.answered + answered });
  }

  private sum(): Record<'issued' | 'answered', number> {
    const sum = { issued: 0, answered: 0 };
    for (const { issued, answered } of this.counts.values()) {
      sum.issued += issued;
      sum.answered += answered;
    }
    return sum;
  }
}
