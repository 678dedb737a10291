import type { Clock } from '../../src/config/clock.js';

/** Starts at the real time, which certificates and the database use, and moves only when a test moves it. */
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
