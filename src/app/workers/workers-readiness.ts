import type { HealthIndicatorFunction, HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { WorkerPool } from './worker-pool.js';
import type { WorkerProcess } from './worker-process.js';

/** Milliseconds that a probe waits for a worker's answer, so that its own comes within a second. */
const PATIENCE_MS = 900;

const RUNBOOK = 'docs/runbook.md#a-worker-dies-or-hangs';

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
  if (worker?.state !== 'serving') return check.down({ message: 'it does not serve', runbook: RUNBOOK });
  const { pid } = worker;
  const answer = await worker.ask('readiness', PATIENCE_MS);
  if (answer === undefined) return check.down({ pid, message: 'it does not answer', runbook: RUNBOOK });
  const { status, details } = answer as { status: string; details: Record<string, unknown> };
  return status === 'ok' ? check.up({ pid, ...details }) : check.down({ pid, ...details });
}
