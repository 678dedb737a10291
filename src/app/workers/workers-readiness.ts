import type { HealthIndicatorFunction, HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { WorkerPool } from './worker-pool.js';
import type { WorkerProcess } from './worker-process.js';

/** Milliseconds that a probe waits for a worker's answer, which comes within a second. */
const PATIENCE_MS = 1_500;

/** Makes an indicator for each of the `count` expected workers, which shows the readiness that the worker reports. */
export function createIndicators(
  pool: WorkerPool,
  count: number,
  check: HealthIndicatorService,
): HealthIndicatorFunction[] {
  return Array.from({ length: count }, (_, index) => () => checkWorker(pool.workers[index], index + 1, check));
}

async function checkWorker(
  worker: WorkerProcess | undefined,
  number: number,
  indicators: HealthIndicatorService,
): Promise<HealthIndicatorResult> {
  const check = indicators.check(`worker-${String(number)}`);
  if (worker?.state !== 'serving') return check.down('it does not serve');
  const { pid } = worker;
  const answer = await worker.ask('readiness', PATIENCE_MS);
  if (answer === undefined) return check.down({ pid, message: 'it does not answer' });
  const { status, details } = answer as { status: string; details: Record<string, unknown> };
  return status === 'ok' ? check.up({ pid, ...details }) : check.down({ pid, ...details });
}
