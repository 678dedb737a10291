import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import type { RequestContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import type { AuditEntry, AuditEventType } from './audit-entry.js';
import { AuditService } from './audit.service.js';
import { type RefusedEvent, RefusalRecorder } from './refusal-recorder.js';

/**
 * Interval at which counted refusals are written. A process that is killed loses those that it counted since the last
 * write.
 */
const WRITE_MS = 10_000;

/** Bounds for callers that the access policy names, which may be some 1,500. */
const NAMED = { records: 60, answers: 600, keys: 2_000, writing: 32 };
/** Bounds for all other callers together. */
const STRANGERS = { records: 60, answers: 600, keys: 16, writing: 8 };
/** Bounds for addresses whose handshakes are refused. A refused handshake has no answer. */
const HANDSHAKES = { records: 20, answers: Infinity, keys: 16, writing: 8 };
/** Bounds for rows that fail their integrity check. Each read of such a row refuses it again. */
const TAMPERED_ROWS = { records: 10, answers: Infinity, keys: 1_000, writing: 8 };

const CHANGED_ELSEWHERE = 'the row was changed by something other than this service';

/** A row that is not as the service wrote it, by what identifies it. */
export interface TamperedRow extends Pick<AuditEntry, 'rpId' | 'userId' | 'credential' | 'approvalId'> {
  readonly type: Extract<AuditEventType, `${string}.tampered`>;
}

/**
 * Records refusals before they are answered, up to a number per minute, and counts the others. Anyone can be refused as
 * often as they like, so not every refusal may cost a row in a log that is kept for years
 * (docs/adr/0017-refusals-are-counted.md).
 */
@Injectable()
export class Refusals implements OnApplicationBootstrap {
  private readonly logger = new Logger(Refusals.name);
  private readonly named: RefusalRecorder;
  private readonly strangers: RefusalRecorder;
  private readonly handshakes: RefusalRecorder;
  private readonly tamperedRows: RefusalRecorder;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    const record = ({ context, entry, time }: RefusedEvent): Promise<string> =>
      audit.record(context, entry, undefined, time);
    this.named = new RefusalRecorder(NAMED, record);
    this.strangers = new RefusalRecorder(STRANGERS, record);
    this.handshakes = new RefusalRecorder(HANDSHAKES, record);
    this.tamperedRows = new RefusalRecorder(TAMPERED_ROWS, record);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.write().catch((error: unknown) => {
        this.logger.warn({
          message: 'counted refusals wait to be recorded',
          ...this.getCounts(),
          error,
        });
      });
    }, WRITE_MS).unref();
  }

  /**
   * Refuses a request.
   *
   * @param isNamed true if the access policy names the caller
   * @throws Problem the given one, or rate-limited if the caller is refused too often
   */
  async refuse(context: RequestContext, problem: Problem, isNamed: boolean, rpId?: string): Promise<never> {
    const { slug: reason, members } = problem;
    const detail = members.detail ?? members.invalid?.[0]?.detail;
    const { certificate } = context;
    const facts = certificate && { certificate };
    const entry: AuditEntry = { type: 'access.denied', outcome: 'failure', reason, detail, rpId, facts };
    const key = context.caller?.spiffeId ?? context.source.ip;
    const records = isNamed ? this.named : this.strangers;
    const retryAfter = await records.refuse(key, { context, entry, time: this.clock.now() });
    if (retryAfter === 0) throw problem;
    context.excessOf = isNamed ? key : '';
    throw new Problem('rate-limited', { retryAfter, detail: 'too many requests from this caller were refused' });
  }

  async refuseHandshake(context: RequestContext, entry: AuditEntry): Promise<void> {
    await this.handshakes.refuse(context.source.ip, { context, entry, time: this.clock.now() });
  }

  /**
   * Reports a row that fails its integrity check, before this returns. For a row that fails again and again, the log counts
   * the failures.
   */
  async refuseRow(context: RequestContext | null, row: TamperedRow): Promise<void> {
    const { type, rpId, userId, credential, approvalId } = row;
    const id = credential?.id ?? approvalId;
    // The operational log names no user.
    this.logger.error({ message: 'a row fails its integrity check', type, requestId: context?.requestId, rpId, id });
    const entry: AuditEntry = { ...row, outcome: 'failure', detail: CHANGED_ELSEWHERE };
    const key = JSON.stringify([type, rpId, userId, id]);
    await this.tamperedRows.refuse(key, { context, entry, time: this.clock.now() });
  }

  /** Records the refusals that are only counted so far. */
  async write(): Promise<void> {
    const now = this.clock.now();
    const { named, strangers, handshakes, tamperedRows } = this;
    for (const records of [named, strangers, handshakes, tamperedRows]) await records.write(now);
  }

  /** Stops the timer and writes the counted refusals. Call it when nothing is refused any more. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.write().catch((error: unknown) => {
      this.logger.error({ message: 'counted refusals are lost', ...this.getCounts(), error });
    });
  }

  private getCounts(): Record<string, number> {
    const { named, strangers, handshakes, tamperedRows } = this;
    const requests = named.unrecorded + strangers.unrecorded;
    return { requests, handshakes: handshakes.unrecorded, rows: tamperedRows.unrecorded };
  }
}
