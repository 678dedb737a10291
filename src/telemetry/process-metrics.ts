import { collectDefaultMetrics, type Registry } from 'prom-client';
import { registerLostLinesMetric } from './log-output.js';

/** prom-client's gauges that end in `_total`, a name for counters. `nodejs_active_handles` and the like stay. */
const MISNAMED_GAUGES = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** Adds the metrics of the process and of Node.js, and the metric of lost log lines. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED_GAUGES) registry.removeSingleMetric(name);
  registerLostLinesMetric(registry);
}
