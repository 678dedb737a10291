import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { HealthIndicatorService } from '@nestjs/terminus';
import { createManagementApp, listen } from '../management-app.js';
import { beginLog } from '../../audit-log/begin-log.js';
import { openSettings } from '../start-service.js';
import { systemClock } from '../../config/clock.js';
import type { Config } from '../../config/config.js';
import { openDatabase } from '../open-database.js';
import { ManagementModule } from '../management/management.module.js';
import { createLogger } from '../../telemetry/pino-logger.js';
import { WorkerPool } from './worker-pool.js';
import { createIndicators } from './workers-readiness.js';
import { WorkersMetrics } from './workers-metrics.js';

export interface RunningWorkers {
  readonly httpsUrl: string;
  readonly managementUrl: string;
  /** Rejects when no worker serves and none can be started. */
  readonly failure: Promise<never>;
  /**
   * Closes the listener for operators, lets the workers answer their open requests, and stops the embedded database.
   */
  stop(): Promise<void>;
}

/**
 * Starts the primary and its workers. The primary does what must happen once: it validates the settings, opens the
 * database and has the listener for operators. It answers no caller and holds no key.
 *
 * @throws ConfigError, AccessPolicyError, WorkerError
 */
export async function startWorkers(config: Config): Promise<RunningWorkers> {
  await openSettings(config, systemClock);
  const { url, stop: stopDatabase } = await openDatabase(config, (through, names) =>
    beginLog(through, names, systemClock.now()),
  );
  const pino = createLogger(config);
  const metrics = new WorkersMetrics(config.workers);
  const pool = new WorkerPool({ ...config, databaseUrl: url }, pino, (worker) => {
    metrics.recordDeath(worker);
  });
  let management: NestFastifyApplication | undefined;
  const stop = async (): Promise<void> => {
    await management?.close();
    await pool.stop();
    await stopDatabase();
  };
  try {
    const workers = {
      indicators: (check: HealthIndicatorService) => createIndicators(pool, config.workers, check),
      exposition: () => metrics.renderMetrics(pool.workers),
    };
    management = await createManagementApp(ManagementModule.forWorkers(workers), pino);
    const managementUrl = await listen(management, config.management, 'http');
    const httpsUrl = await pool.start();
    return { httpsUrl, managementUrl, failure: pool.failure, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
