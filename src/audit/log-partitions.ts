import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { databaseUnavailable } from '../problems/database-unavailable.js';
import { LogFailures } from './log-failures.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Beside the present one. */
const MONTHS_AHEAD = 3;

/** Makes the log's next months, once a day. A month without a partition goes into the default one, and is not lost. */
@Injectable()
export class LogPartitions {
  private madeAt = -Infinity;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly failures: LogFailures,
  ) {}

  /** A month that cannot be made is a failure, and keeps none of the others from being made. */
  async make(): Promise<void> {
    const now = this.clock.now();
    const pause = this.failures.has('partitions') ? HOUR_MS : DAY_MS;
    if (Math.abs(now.getTime() - this.madeAt) < pause) return;
    const refused: Record<string, string> = {};
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
      const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 10);
      await this.dataSource.query('SELECT audit_make_partitions($1::date, 1)', [month]).catch((error: unknown) => {
        if (databaseUnavailable(error)) throw error;
        refused[month] = String(error);
      });
    }
    this.madeAt = now.getTime();
    if (Object.keys(refused).length > 0) this.failures.failed('partitions', { refused });
    else this.failures.recovered('partitions');
  }
}
