import type { RequestContext } from '../http/request-context.js';
import type { AuditEntry } from './audit-entry.js';

export interface RefusalBounds {
  /** Maximum number of records per key and minute. */
  readonly records: number;
  /** Maximum number of refusals per key and minute that still say what was wrong. */
  readonly answers: number;
  /** Maximum number of keys with a count of their own. All further keys share one count. */
  readonly keys: number;
  /** Maximum number of records that are written at a time. */
  readonly writing: number;
}

/** The content of an event, and the time of the refusal. */
export interface RefusedEvent {
  readonly context: RequestContext | null;
  readonly entry: AuditEntry;
  readonly time: Date;
}

interface Count {
  /** Start of the count's minute, in milliseconds. */
  since: number;
  refused: number;
  recorded: number;
  unrecorded: number;
  /** The newest unrecorded refusal. */
  last?: RefusedEvent | undefined;
}

const MINUTE_MS = 60_000;
const FURTHER_KEYS = '';

/**
 * Records a limited number of refusals per key and minute, and counts the rest. The key's next record says how many
 * were counted before it (`refused_before_unrecorded`), so the records and these numbers add up to all refusals.
 */
export class RefusalRecorder {
  private readonly counts = new Map<string, Count>();
  private readonly writing = new Set<Promise<unknown>>();

  constructor(
    private readonly bounds: RefusalBounds,
    private readonly record: (refusal: RefusedEvent) => Promise<unknown>,
  ) {}

  /**
   * Resolves when the refusal is recorded or counted.
   *
   * @param key the identity or address whose refusals are counted together
   * @returns 0, or the seconds until the key's minute ends if the key is refused too often for an answer that says why
   */
  async refuse(key: string, refusal: RefusedEvent): Promise<number> {
    const { bounds } = this;
    const now = refusal.time.getTime();
    const count = this.getCount(key, now);
    count.refused += 1;
    count.unrecorded += 1;
    count.last = refusal;
    const retryAfter = count.refused > bounds.answers ? (count.since + MINUTE_MS - now) / 1_000 : 0;
    if (count.recorded < bounds.records && this.writing.size < bounds.writing) {
      count.recorded += 1;
      await this.writeOne(count);
    }
    return retryAfter;
  }

  /** Number of refusals that are counted and not recorded. */
  get unrecorded(): number {
    return [...this.counts.values()].reduce((sum, { unrecorded }) => sum + unrecorded, 0);
  }

  /** Records the counted refusals: the newest one of each key, with the number of those before it. */
  async write(now: Date): Promise<void> {
    await Promise.allSettled(this.writing);
    for (const [key, count] of this.counts) {
      if (count.unrecorded > 0) await this.writeOne(count);
      if (count.unrecorded === 0 && hasEnded(count, now.getTime())) this.counts.delete(key);
    }
  }

  private getCount(key: string, now: number): Count {
    const known = this.counts.get(key);
    if (!known && key !== FURTHER_KEYS && this.counts.size >= this.bounds.keys) return this.getCount(FURTHER_KEYS, now);
    const count = known ?? { since: now, refused: 0, recorded: 0, unrecorded: 0 };
    if (hasEnded(count, now)) Object.assign(count, { since: now, refused: 0, recorded: 0 });
    this.counts.set(key, count);
    return count;
  }

  /** Writes one record for the counted refusals. If that fails, they stay counted. */
  private async writeOne(count: Count): Promise<void> {
    const { unrecorded, last } = count;
    if (!last) return;
    count.unrecorded = 0;
    count.last = undefined;
    const writing = this.record(unrecorded === 1 ? last : addCount(last, unrecorded - 1));
    this.writing.add(writing);
    try {
      await writing;
    } catch (error) {
      count.unrecorded += unrecorded;
      count.last ??= last;
      throw error;
    } finally {
      this.writing.delete(writing);
    }
  }
}

function hasEnded({ since }: Count, now: number): boolean {
  return now - since >= MINUTE_MS || now < since;
}

function addCount({ context, entry, time }: RefusedEvent, before: number): RefusedEvent {
  return { context, time, entry: { ...entry, facts: { ...entry.facts, refused_before_unrecorded: before } } };
}
