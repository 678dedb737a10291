/** The time over which the rate of rows is measured. Milliseconds. */
const WINDOW_MS = 500;
/** One more statement in flight is worth its price if so many times the rows have results. */
const WORTH = 1.1;
/** Windows between two trials: at first, and at most after trials that failed. */
const [SHORTEST_PAUSE, LONGEST_PAUSE] = [4, 64];

/**
 * Decides how many statements of a kind may be in flight, by what it measures while rows wait. If the database waits for its
 * disk, more statements in flight let it read for all of them at once. If its CPU is the limit, one statement with many rows
 * costs less than several with few. So now and then the limit tries one more or one fewer, and keeps what brings more rows
 * for a statement. Without waiting rows it goes back to one, step by step.
 */
export class InFlightLimit {
  private current = 1;
  private began: number | undefined;
  private rows = 0;
  private calm = 0;
  /** Windows until the next trial. */
  private pause = SHORTEST_PAUSE;
  private nextPause = SHORTEST_PAUSE;
  private step: 1 | -1 = 1;
  /** The rows per millisecond before the trial that runs. */
  private rateBefore: number | undefined;

  /** @param now milliseconds of a clock that never goes back */
  constructor(
    private readonly most: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get value(): number {
    return this.current;
  }

  /**
   * Counts the rows of a statement that has ended.
   *
   * @param waiting true if rows wait for a statement
   */
  count(rows: number, waiting: boolean): void {
    const now = this.now();
    if (!waiting) {
      this.calmDown(now);
      return;
    }
    this.calm = now;
    if (this.began === undefined) {
      this.began = now;
      this.rows = 0;
      return;
    }
    this.rows += rows;
    if (now - this.began < WINDOW_MS) return;
    const changed = this.judge(this.rows / (now - this.began));
    // After a change, the next statement to end was sent under the limit before.
    this.began = changed ? undefined : now;
    this.rows = 0;
  }

  private calmDown(now: number): void {
    this.began = undefined;
    if (this.rateBefore !== undefined) this.change(-this.step);
    this.rateBefore = undefined;
    if (now - this.calm < WINDOW_MS) return;
    this.calm = now;
    this.change(-1);
  }

  /** @returns true if the limit has changed */
  private judge(rate: number): boolean {
    if (this.rateBefore !== undefined) return this.endTrial(rate / this.rateBefore);
    this.pause -= 1;
    if (this.pause > 0) return false;
    if (this.current === 1) this.step = 1;
    else if (this.current === this.most) this.step = -1;
    this.rateBefore = rate;
    this.change(this.step);
    return true;
  }

  private endTrial(gain: number): boolean {
    const better = this.step === 1 ? gain >= WORTH : gain * WORTH > 1;
    this.rateBefore = undefined;
    this.nextPause = better ? SHORTEST_PAUSE : Math.min(2 * this.nextPause, LONGEST_PAUSE);
    this.pause = this.nextPause;
    if (better) return false;
    this.change(-this.step);
    this.step = this.step === 1 ? -1 : 1;
    return true;
  }

  private change(by: number): void {
    this.current = Math.min(this.most, Math.max(1, this.current + by));
  }
}
