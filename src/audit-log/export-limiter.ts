import { Problem } from '../http/problem.js';

/**
 * Maximum number of open exports per identity. An open export holds a page of the log in memory and queries the
 * database for the next one until it is read.
 */
const MAX_OPEN = 2;

/** Limits the exports that each identity has open in this process. */
export class ExportLimiter {
  private readonly open = new Map<string, number>();

  /**
   * Counts a new export of an identity.
   *
   * @returns a function that ends the export
   * @throws Problem rate-limited
   */
  begin(identity: string): () => void {
    const open = this.open.get(identity) ?? 0;
    if (open >= MAX_OPEN) {
      const detail = `the caller already has ${String(open)} open exports; the limit is ${String(MAX_OPEN)}`;
      throw new Problem('rate-limited', { retryAfter: 10, detail });
    }
    this.open.set(identity, open + 1);
    return () => {
      const left = this.open.get(identity)! - 1;
      if (left > 0) this.open.set(identity, left);
      else this.open.delete(identity);
    };
  }
}
