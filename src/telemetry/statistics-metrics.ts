import { Gauge, type Registry } from 'prom-client';

export interface StatisticsMetrics {
  /** Absent in a process that does not count. */
  readonly current: Gauge<'counts'>;
}

/** Makes the metrics of the statistics. */
export function createStatisticsMetrics(registry: Registry): StatisticsMetrics {
  return {
    current: new Gauge({
      name: 'passkey_statistics_current_timestamp_seconds',
      help: 'Unix time at which the statistics last had all ceremonies of the log, and last went on with the passkeys; at first, when the process started',
      labelNames: ['counts'],
      aggregator: 'max',
      registers: [registry],
    }),
  };
}
