/** What is shown of a pool of connections; `pg.Pool` has it. */
export interface PoolReading {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly options: { readonly max: number };
}
