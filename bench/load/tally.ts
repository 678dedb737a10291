import { performance } from 'node:perf_hooks';
import { Shed } from './connection.js';
import { quantile } from './latency.js';

/** The results of one run of the generator in the measured window. Times are in milliseconds. */
export interface Observed {
  /** Operations that ended in the window. */
  readonly completed: number;
  /** Operations that succeeded in the whole run, also before and after the window. */
  readonly operations: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Operations in the window that a full server refused. */
  readonly shed: number;
  /** Counts over the whole run: lead, window and the operations in flight at its end. */
  readonly errors: number;
  readonly firstError?: string;
}

/** Counts the operations of the window. Those of the lead before it, and those that end after it, do not count. */
export class Tally {
  readonly begin: number;
  readonly end: number;
  private readonly latencies: number[] = [];
  private completed = 0;
  private operations = 0;
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
   * @param intended the time since which its caller waits. Such an operation belongs to the window if it was due there.
   *   Without it, the caller waits from now, and the operation belongs to the window if it ends there.
   * @returns true if the server accepted it
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
    this.operations += 1;
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
    const { completed, operations, shed, errors, firstError } = this;
    return {
      completed,
      operations,
      shed,
      errors,
      ...(firstError === undefined ? {} : { firstError }),
      p50: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
      p99: quantile(sorted, 0.99),
      max: sorted.at(-1) ?? NaN,
    };
  }

  private holds(time: number): boolean {
    return time >= this.begin && time < this.end;
  }
}
