import { Problem } from '../problems/problem.js';

/** An export keeps a page of the log in memory and asks the database for the next one, for as long as it is read. */
const MAX_OPEN = 2;

/** The exports of each identity that are under way in this process. */
export class OpenExports {
  private readonly open = new Map<string, number>();

  /**
   * @returns a function that ends it
   * @throws Problem rate-limited
   */
  begin(identity: string): () => void {
    const open = this.open.get(identity) ?? 0;
    if (open >= MAX_OPEN) {
      const detail = `the caller has ${String(open)} exports under way: it may have ${String(MAX_OPEN)} at a time`;
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
