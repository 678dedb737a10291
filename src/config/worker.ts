/** Identifies one of several processes that serve the same port. */
export interface WorkerNumber {
  /** Counts from 1. A replacement gets the number of its predecessor. */
  readonly number: number;
  readonly of: number;
  /** How the predecessor ended unexpectedly; undefined for the first process with this number. */
  readonly replaces?: WorkerEnd | undefined;
}

export interface WorkerEnd {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: string | null;
}
