import { describe, expect, it } from '@jest/globals';
import { InFlightLimit } from './in-flight-limit.js';

/** A database with as many rows to do as it can. The time of a statement of ten rows follows from the number in flight. */
class FakeDatabase {
  now = 0;
  readonly limit: InFlightLimit;

  /** @param speedUp how many times the rows of one statement in flight so many bring */
  constructor(private speedUp: (inFlight: number) => number) {
    this.limit = new InFlightLimit(4, () => this.now);
  }

  /**
   * Runs statements, of which each takes 10 ms if it is alone in flight.
   *
   * @returns the part of the statements that ended under each limit, from 1 to 4
   */
  run(statements: number, { waiting = true } = {}): number[] {
    const parts = [0, 0, 0, 0];
    for (let n = 0; n < statements; n += 1) {
      this.now += 10 / this.speedUp(this.limit.value);
      parts[this.limit.value - 1]! += 1 / statements;
      this.limit.count(10, waiting);
    }
    return parts;
  }

  becomes(speedUp: (inFlight: number) => number): void {
    this.speedUp = speedUp;
  }
}

const waitsForReads = (inFlight: number): number => inFlight;
const hasNoCpuLeft = (inFlight: number): number => 1 - 0.1 * (inFlight - 1);

describe('the number of statements in flight', () => {
  it('is one at first', () => {
    expect(new InFlightLimit(4).value).toBe(1);
  });

  it('grows to its bound while each one more brings more rows', () => {
    const database = new FakeDatabase(waitsForReads);
    database.run(3_000);
    expect(database.run(20_000)[3]).toBeGreaterThan(0.9);
  });

  it('stops where one more brings less than a tenth', () => {
    const database = new FakeDatabase((inFlight) => Math.min(2, inFlight) + 0.05 * inFlight);
    database.run(3_000);
    expect(database.run(20_000)[1]).toBeGreaterThan(0.8);
  });

  it('is one for more than nineteen of twenty statements if more bring nothing', () => {
    const [one, two, ...more] = new FakeDatabase(hasNoCpuLeft).run(50_000);
    expect(one).toBeGreaterThan(0.95);
    expect(two).toBeGreaterThan(0);
    expect(more).toEqual([0, 0]);
  });

  it('goes back to one when the database no longer waits for reads', () => {
    const database = new FakeDatabase(waitsForReads);
    database.run(20_000);
    database.becomes(hasNoCpuLeft);
    database.run(10_000);
    expect(database.run(20_000)[0]).toBeGreaterThan(0.9);
  });

  it('grows again when the database begins to wait for reads', () => {
    const database = new FakeDatabase(hasNoCpuLeft);
    database.run(50_000);
    database.becomes(waitsForReads);
    database.run(20_000);
    expect(database.run(20_000)[3]).toBeGreaterThan(0.9);
  });

  it('goes back to one, step by step, when no rows wait', () => {
    const database = new FakeDatabase(waitsForReads);
    database.run(20_000);
    const parts = database.run(1_000, { waiting: false });
    expect(parts.every((part) => part > 0)).toBe(true);
    expect(database.limit.value).toBe(1);
  });

  it('never grows by statements after which no rows wait', () => {
    const database = new FakeDatabase(waitsForReads);
    for (let n = 1; n <= 10_000; n += 1) {
      database.run(1, { waiting: n % 40 !== 0 });
      expect(database.limit.value).toBe(1);
    }
  });
});
