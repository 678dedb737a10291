/** Which of several processes this is. They serve one port. */
export interface WorkerNumber {
  /** From 1. Its replacement has the same. */
  readonly number: number;
  readonly of: number;
  /** How its predecessor ended, which should not have. */
  readonly replaces?: WorkerEnd | undefined;
}

export interface WorkerEnd {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: string | null;
}
