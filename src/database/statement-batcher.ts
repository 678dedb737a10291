import type { Span } from '@opentelemetry/api';
import { Problem } from '../http/problem.js';
import { isOfOneRow, isSqlState } from '../http/sql-states.js';
import { endSpan, startCallSpan } from '../telemetry/spans.js';
import { InFlightLimit } from './in-flight-limit.js';
import type { CeremonyPool } from './ceremony-pool.js';
import type { RowsStatement } from './rows-statement.js';

interface WaitingRow<Row, Result> {
  readonly row: Row;
  readonly keys: readonly string[];
  /** Begins when the row begins to wait, if the request is traced. */
  readonly span: Span | undefined;
  readonly resolve: (result: Result | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const MOST_ROWS = 64;
const MOST_IN_FLIGHT = 4;
/**
 * Twice the number of requests that run at a time (src/http/admission.ts). So many wait only if something is
 * wrong.
 */
const MOST_WAITING = 512;
/** A statement that takes longer waits for a lock or for the network, and must not hold up other rows. Milliseconds. */
const PATIENCE_MS = 100;

/**
 * Batches concurrent runs of a statement. Rows that arrive while a statement is in flight wait, and go together in the
 * next one. If none is in flight, the rows go at the end of the present turn of the event loop. More than one is in flight
 * if that brings more rows (in-flight-limit.ts), or if one takes long.
 *
 * Rows with a key in common run one after the other, because the second one must see what the first one changes. No row
 * fails because of another: if a statement with many rows fails, it has changed nothing, and each row runs again alone. The
 * exception is a lost database, which may have committed the statement; then all rows fail.
 */
export class StatementBatcher<Row, Result> {
  private waiting: WaitingRow<Row, Result>[] = [];
  private inFlight = 0;
  private readonly keysInFlight = new Set<string>();
  /** The number of statements in flight that take long. */
  private slow = 0;
  private due = false;
  private readonly rowsInBatch;
  private readonly duration;

  /**
   * @param keysOf none: the row may go with any other
   * @param patience milliseconds after which a statement takes long
   */
  constructor(
    private readonly statement: RowsStatement<Row, Result>,
    private readonly pool: Pick<CeremonyPool, 'through' | 'metrics'>,
    private readonly keysOf: (row: Row) => readonly string[],
    private readonly patience = PATIENCE_MS,
    private readonly limit = new InFlightLimit(MOST_IN_FLIGHT),
  ) {
    this.rowsInBatch = pool.metrics.batchRows.labels({ statement: statement.name });
    this.duration = pool.metrics.batchDuration.labels({ statement: statement.name });
  }

  /**
   * @returns undefined if the row has no result
   * @throws Problem unavailable if too many rows wait
   */
  run(row: Row): Promise<Result | undefined> {
    if (this.waiting.length >= MOST_WAITING) {
      return Promise.reject(
        new Problem('unavailable', { retryAfter: 1, detail: 'too many requests wait for the database' }),
      );
    }
    return new Promise((resolve, reject) => {
      const span = startCallSpan(this.statement.name, { 'db.system.name': 'postgresql' });
      this.waiting.push({ row, keys: this.keysOf(row), span, resolve, reject });
      this.scheduleSend();
    });
  }

  private scheduleSend(): void {
    if (this.due || !this.canSend()) return;
    this.due = true;
    setImmediate(() => {
      this.due = false;
      if (!this.canSend()) return;
      const rows = this.takeRows();
      if (rows.length > 0) void this.send(rows);
    });
  }

  private canSend(): boolean {
    return this.waiting.length > 0 && this.inFlight - this.slow < this.limit.value && this.inFlight < MOST_IN_FLIGHT;
  }

  /** Takes the next rows in the order of their arrival, as many as may go together and beside those in flight. */
  private takeRows(): WaitingRow<Row, Result>[] {
    const [taken, left] = [[] as WaitingRow<Row, Result>[], [] as WaitingRow<Row, Result>[]];
    for (const each of this.waiting) {
      const goes = taken.length < MOST_ROWS && !each.keys.some((key) => this.keysInFlight.has(key));
      if (goes) for (const key of each.keys) this.keysInFlight.add(key);
      (goes ? taken : left).push(each);
    }
    this.waiting = left;
    return taken;
  }

  private async send(rows: readonly WaitingRow<Row, Result>[]): Promise<void> {
    let slow = 0;
    const patience = setTimeout(() => {
      slow = 1;
      this.slow += 1;
      this.scheduleSend();
    }, this.patience);
    this.inFlight += 1;
    await this.deliver(rows);
    this.inFlight -= 1;
    this.slow -= slow;
    clearTimeout(patience);
    for (const { keys } of rows) for (const key of keys) this.keysInFlight.delete(key);
    this.limit.count(rows.length, this.waiting.length > 0);
    this.scheduleSend();
  }

  private async deliver(rows: readonly WaitingRow<Row, Result>[]): Promise<void> {
    this.rowsInBatch.observe(rows.length);
    const observeDuration = this.duration.startTimer();
    for (const { span } of rows) span?.addEvent('sent').setAttribute('db.operation.batch.size', rows.length);
    try {
      const results = await this.statement.run(
        this.pool.through,
        rows.map(({ row }) => row),
      );
      observeDuration();
      rows.forEach(({ span, resolve }, index) => {
        endSpan(span);
        resolve(results[index]);
      });
    } catch (error) {
      observeDuration();
      if (rows.length > 1 && mayGoAlone(error)) await Promise.all(rows.map((row) => this.deliver([row])));
      else
        for (const { span, reject } of rows) {
          endSpan(span, error);
          reject(error);
        }
    }
  }
}

/** The statement was rolled back, and one row may be the cause, such as one whose lock another session holds. */
function mayGoAlone(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return isSqlState(code) && isOfOneRow(code);
}
