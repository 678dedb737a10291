import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';

/** What a checkpoint is anchored by. */
export interface AnchoredCheckpoint {
  readonly size: number;
  readonly note: string;
  readonly createdAt: Date;
}

/** A place that the service does not control. */
export interface AnchorTarget {
  readonly name: 'file' | 'url';
  /** Resolves when the place has taken the note for good. */
  deliver(note: string, signal: AbortSignal): Promise<void>;
}

export interface AnchorTiming {
  /** Before the second try; doubled with each further one, and then shortened by up to a half at random. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** For one delivery. */
  readonly timeoutMs: number;
}

export const ANCHOR_TIMING: AnchorTiming = { backoffMs: 1_000, maxBackoffMs: 60_000, timeoutMs: 10_000 };

/** An anchor that fails once mends itself; one that fails so many times in a row is told of. */
const TOLERATED_FAILURES = 2;
/** What is under way when the service ends has so long. */
const LAST_MS = 1_000;

/**
 * Brings checkpoints to one place, in the background, one after another and in the order of their sizes. While the place
 * is away only the newest waits: it commits to every leaf of those before, so they are passed over, not made up for.
 */
export class Anchor {
  /** Of what the place has. */
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

  /** Returns at once. What is no newer than what the place has, or is to have, is passed over. */
  push(checkpoint: AnchoredCheckpoint): void {
    const newest = this.waiting ?? this.anchored;
    if (newest && checkpoint.size <= newest.size) return;
    this.waiting = checkpoint;
    if (this.timer === undefined) this.delivering ??= this.deliverWaiting();
  }

  /** Why the last tries failed; undefined: they did not. What can't be ended, such as a write to a disk, may hang. */
  get failure(): string | undefined {
    if (this.failures > TOLERATED_FAILURES) return this.reason;
    const hangs = this.delivering && performance.now() - this.since > this.timing.timeoutMs * (TOLERATED_FAILURES + 1);
    return hangs ? 'it does not come to an end' : undefined;
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
      this.failed(error);
    } finally {
      this.delivering = undefined;
    }
  }

  private failed(error: unknown): void {
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
