import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { createCeremonyPool } from './data-source.js';
import { type Queryable, adaptPool } from './named-statement.js';

/** The connections of the hot statements: those of a sign-in, which the repositories batch. */
@Injectable()
export class CeremonyPool implements OnApplicationShutdown {
  readonly through: Queryable;
  private readonly pool: pg.Pool;

  constructor(
    @Inject(CONFIG)
    { databaseUrl, workers, databasePasswordFile }: Pick<Config, 'databaseUrl' | 'workers' | 'databasePasswordFile'>,
    readonly metrics: Metrics,
  ) {
    this.pool = createCeremonyPool(databaseUrl ?? '', workers, databasePasswordFile);
    this.through = adaptPool(this.pool);
    metrics.databasePools.set('ceremonies', this.pool);
  }

  /** Nest calls it when no request runs any more. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
