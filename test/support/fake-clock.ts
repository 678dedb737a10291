import type { Clock } from '../../src/config/clock.js';

/** Starts at the real time, because certificates and the database live in it, and moves only when a test says so. */
export class FakeClock implements Clock {
  private offsetMs = 0;
  private frozenAt: number | undefined;

  now(): Date {
    return new Date((this.frozenAt ?? Date.now()) + this.offsetMs);
  }

  freeze(): void {
    this.frozenAt = Date.now();
  }

  advance(seconds: number): void {
    this.offsetMs += seconds * 1_000;
  }

  reset(): void {
    this.offsetMs = 0;
    this.frozenAt = undefined;
  }
}
