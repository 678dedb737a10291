import cluster from 'node:cluster';
import { inspect } from 'node:util';
import { AccessPolicyError } from '../../access/access-policy.js';
import { type Serving, startWorker } from '../start-service.js';
import { STOP_SIGNALS } from '../stop-causes.js';
import { type Config, ConfigError } from '../../config/config.js';
import { HealthController } from '../management/health.controller.js';
import { Metrics } from '../../telemetry/metrics.js';
import type { Order, Question, Report } from './messages.js';

/** Milliseconds for the open requests of a worker that has lost its primary. */
const LAST_MS = 10_000;

/**
 * Runs a worker: it starts with the configuration that the primary sends, answers the questions of the primary, and
 * ends when the primary says so or is gone. It ignores signals, because a Ctrl-C reaches the whole process group, and a
 * worker that obeyed it would end before the primary knows.
 */
export function runWorker(): void {
  let starting: Promise<Serving> | undefined;
  let stopping: Promise<void> | undefined;
  const stop = (): void => {
    stopping ??= Promise.resolve(starting)
      .then((serving) => serving?.stop())
      .then(() => process.exit(0), fail);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined);
  stopWithPrimary(stop);
  process.on('message', (order: Order) => {
    if (order.kind === 'stop') stop();
    else if (order.kind === 'start') starting = start(order.config);
    else void starting?.then((serving) => answerQuestion(serving, order));
  });
  sendReport({ kind: 'here' });
}

function start(config: Config): Promise<Serving> {
  const starting = startWorker(Object.freeze(config));
  starting.then(({ httpsUrl }) => {
    sendReport({ kind: 'serving', url: httpsUrl });
  }, fail);
  return starting;
}

/**
 * Answers the open requests before the end. By default, a worker of a cluster ends at once when its primary is lost.
 */
function stopWithPrimary(stop: () => void): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
    setTimeout(() => process.exit(1), LAST_MS).unref();
    stop();
  });
}

async function answerQuestion({ app, management }: Serving, { id, about }: Question): Promise<void> {
  const answer =
    about === 'metrics'
      ? await app.get(Metrics).registry.getMetricsAsJSON()
      : await management.get(HealthController).describeReadiness();
  sendReport({ kind: 'answer', id, answer });
}

/** Lets the primary report the failed start, so that it is reported once. */
function fail(error: unknown): void {
  const expected = [ConfigError, AccessPolicyError].some((kind) => error instanceof kind);
  sendReport({ kind: 'failed', message: expected ? (error as Error).message : inspect(error) }, () => process.exit(1));
}

function sendReport(message: Report, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, then);
  else then();
}
