import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { AnchorFile, type AnchorTarget, AnchorUrl } from './anchor-targets.js';

/*
 * An anchor keeps checkpoints where the service cannot take them back. `Anchors` has those that are configured, `Anchor` delivers
 * to one of them in the background, and anchor-targets.ts knows a file and a URL. The reader of the file is
 * src/audit-log/log-memory.ts.
 */

/** State of an anchor, for operators. */
export interface AnchorState {
  readonly anchor: AnchorTarget['name'];
  /** Size of the last anchored checkpoint in leaves (0 before the first one), and when it was signed. */
  readonly size: number;
  readonly checkpointAt: string | undefined;
  readonly failure: string | undefined;
}

/**
 * Delivers checkpoints to storage that the service does not control. So even somebody who has its keys and its database
 * cannot rewrite the log unnoticed. No request waits for a delivery.
 */
@Injectable()
export class Anchors implements OnModuleDestroy {
  private readonly anchors: readonly Anchor[];

  constructor(
    @Inject(CONFIG) { auditAnchorFile, auditAnchorUrl }: Pick<Config, 'auditAnchorFile' | 'auditAnchorUrl'>,
    metrics: Metrics,
  ) {
    const targets: AnchorTarget[] = [];
    if (auditAnchorFile !== undefined) targets.push(new AnchorFile(auditAnchorFile));
    if (auditAnchorUrl !== undefined) targets.push(new AnchorUrl(auditAnchorUrl));
    this.anchors = targets.map((target) => {
      const gauge = metrics.anchoredCheckpoint.labels({ anchor: target.name });
      gauge.set(0);
      return new Anchor(target, ({ createdAt }) => {
        gauge.set(createdAt.getTime() / 1_000);
      });
    });
  }

  push(checkpoint: AnchoredCheckpoint): void {
    for (const anchor of this.anchors) anchor.push(checkpoint);
  }

  /** Returns undefined if no anchor is configured. */
  getState(): readonly AnchorState[] | undefined {
    if (this.anchors.length === 0) return undefined;
    return this.anchors.map(({ target, anchored, failure }) => {
      const { size = 0, createdAt } = anchored ?? {};
      return { anchor: target.name, size, checkpointAt: createdAt?.toISOString(), failure };
    });
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.anchors.map((anchor) => anchor.close()));
  }
}

/** The parts of a checkpoint that are anchored. */
export interface AnchoredCheckpoint {
  readonly size: number;
  readonly note: string;
  readonly createdAt: Date;
}

export interface AnchorTiming {
  /** Delay before the second try. It doubles with each further try, and is then shortened at random by up to half. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Time limit of one delivery. */
  readonly timeoutMs: number;
}

const ANCHOR_TIMING: AnchorTiming = { backoffMs: 1_000, maxBackoffMs: 60_000, timeoutMs: 10_000 };

/** A failing anchor is reported after more than this many failures in a row. The next attempt repairs a single failure. */
const TOLERATED_FAILURES = 2;
/** How long a running delivery may take when the service ends. */
const LAST_MS = 1_000;

/**
 * Delivers checkpoints to one target, in the background, one after another and in the order of their sizes. While the
 * target is unavailable, only the newest checkpoint waits. It commits to every leaf of the earlier ones, so they are
 * skipped and not delivered later.
 */
export class Anchor {
  /** The newest checkpoint that the target has. */
  anchored: AnchoredCheckpoint | undefined;
  private waiting: AnchoredCheckpoint | undefined;
  private failures = 0;
  private reason = '';
  private since = 0;
  private timer: NodeJS.Timeout | undefined;
  private delivering: Promise<void> | undefined;
  private readonly end = new AbortController();
  private readonly logger = new Logger(Anchor.name);

  constructor(
    readonly target: AnchorTarget,
    private readonly onAnchored: (checkpoint: AnchoredCheckpoint) => void,
    private readonly timing: AnchorTiming = ANCHOR_TIMING,
  ) {}

  /**
   * Queues a checkpoint and returns at once. It skips a checkpoint that is not newer than the delivered or the waiting
   * one.
   */
  push(checkpoint: AnchoredCheckpoint): void {
    const newest = this.waiting ?? this.anchored;
    if (newest && checkpoint.size <= newest.size) return;
    this.waiting = checkpoint;
    if (this.timer === undefined) this.delivering ??= this.deliverWaiting();
  }

  /**
   * Why the last tries failed; undefined if they did not. A delivery that cannot be aborted, such as a write to a disk,
   * may hang.
   */
  get failure(): string | undefined {
    if (this.failures > TOLERATED_FAILURES) return this.reason;
    const hangs = this.delivering && performance.now() - this.since > this.timing.timeoutMs * (TOLERATED_FAILURES + 1);
    return hangs ? 'the delivery does not end' : undefined;
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    const late = new AbortController();
    await Promise.race([this.delivering, sleep(LAST_MS, undefined, late).catch(() => undefined)]);
    late.abort();
    this.end.abort();
    clearTimeout(this.timer);
  }

  private async deliverWaiting(): Promise<void> {
    try {
      for (let next = this.waiting; next && !this.end.signal.aborted; next = this.waiting) {
        this.since = performance.now();
        await this.target.deliver(
          next.note,
          AbortSignal.any([this.end.signal, AbortSignal.timeout(this.timing.timeoutMs)]),
        );
        if (this.waiting === next) this.waiting = undefined;
        this.anchored = next;
        this.failures = 0;
        this.onAnchored(next);
      }
    } catch (error) {
      this.scheduleRetry(error);
    } finally {
      this.delivering = undefined;
    }
  }

  private scheduleRetry(error: unknown): void {
    if (this.end.signal.aborted) return;
    const { message, cause } = error as Error & { cause?: Partial<Error> };
    this.reason = cause?.message === undefined ? message : `${message}: ${cause.message}`;
    if (this.failures === 0)
      this.logger.warn({ message: 'a checkpoint is not anchored', anchor: this.target.name, reason: this.reason });
    this.failures += 1;
    const { backoffMs, maxBackoffMs } = this.timing;
    const pause = Math.min(maxBackoffMs, backoffMs * 2 ** (this.failures - 1)) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.delivering ??= this.deliverWaiting();
    }, pause).unref();
  }
}
