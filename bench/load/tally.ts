import { performance } from 'node:perf_hooks';
import { Shed } from './connection.js';
import { quantile } from './latency.js';

/** What one run of the generator has seen, in the window that is measured. Times in milliseconds. */
export interface Observed {
  /** Operations that ended in the window. */
  readonly completed: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Operations of which a request was refused because the server was full, in the window. */
  readonly shed: number;
  /** Of the whole run: lead, window and what was in flight at its end. */
  readonly errors: number;
  readonly firstError?: string;
}

/** Counts operations; those that belong to the lead before the window, and what ends after it, count for nothing. */
export class Tally {
  readonly begin: number;
  readonly end: number;
  private readonly latencies: number[] = [];
  private completed = 0;
  private errors = 0;
  private shed = 0;
  private firstError: string | undefined;

  /** @param lead milliseconds before the window of `length` milliseconds opens */
  constructor(lead: number, length: number) {
    this.begin = performance.now() + lead;
    this.end = this.begin + length;
  }

  /**
   * Runs an operation and counts it.
   *
   * @param intended since when its caller waits; the default: since now, and then the operation belongs to the window
   *   when it ends there, otherwise when it was due there
   * @returns whether the server took it
   */
  async count(operation: () => Promise<void>, intended?: number): Promise<boolean> {
    const since = intended ?? performance.now();
    try {
      await operation();
    } catch (error) {
      if (error instanceof Shed) return this.countShed();
      this.errors += 1;
      this.firstError ??= String(error);
      return true;
    }
    const now = performance.now();
    if (this.holds(now)) this.completed += 1;
    if (this.holds(intended ?? now)) this.latencies.push(now - since);
    return true;
  }

  private countShed(): false {
    if (this.holds(performance.now())) this.shed += 1;
    return false;
  }

  result(): Observed {
    const sorted = Float64Array.from(this.latencies).sort();
    const { completed, shed, errors, firstError } = this;
    return {
      ...{ completed, shed, errors, ...(firstError === undefined ? {} : { firstError }) },
      ...{ p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), p99: quantile(sorted, 0.99) },
      max: sorted.at(-1) ?? NaN,
    };
  }

  private holds(time: number): boolean {
    return time >= this.begin && time < this.end;
  }
}
