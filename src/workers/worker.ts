import cluster from 'node:cluster';
import { inspect } from 'node:util';
import { AccessPolicyError } from '../access/access-policy.js';
import { type Serving, startWorker } from '../boot.js';
import { type Config, ConfigError } from '../config/config.js';
import { HealthController } from '../health/health.controller.js';
import { STOP_SIGNALS } from '../stop-signals.js';
import { Metrics } from '../telemetry/metrics.js';
import type { Order, Question, Report } from './messages.js';

/** For what was asked of a worker whose primary is gone: milliseconds. */
const LAST_MS = 10_000;

/**
 * The life of a worker: it starts with what the primary tells it, answers the primary's questions, and ends when the
 * primary says so or is gone. Signals are the primary's: a Ctrl-C reaches the whole process group, and a worker that took
 * it as its own would end before the primary knows.
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
    else void starting?.then((serving) => answer(serving, order));
  });
  report({ kind: 'here' });
}

function start(config: Config): Promise<Serving> {
  const starting = startWorker(Object.freeze(config));
  starting.then(({ httpsUrl }) => {
    report({ kind: 'serving', url: httpsUrl });
  }, fail);
  return starting;
}

/** By itself, a cluster's worker would end at once where its primary is lost, with what it was asked unanswered. */
function stopWithPrimary(stop: () => void): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
    setTimeout(() => process.exit(1), LAST_MS).unref();
    stop();
  });
}

async function answer({ app, management }: Serving, { id, about }: Question): Promise<void> {
  const asked =
    about === 'metrics' ? app.get(Metrics).registry.getMetricsAsJSON() : management.get(HealthController).ready();
  report({ kind: 'answer', id, answer: await asked.catch(resultOf) });
}

/** What terminus throws where something is down holds what it would give back. */
function resultOf(error: unknown): unknown {
  return (error as { getResponse?(): unknown }).getResponse?.() ?? { status: 'error', details: { error: { message: String(error) } } }; // prettier-ignore
}

/** A start that failed is told by the primary, once. */
function fail(error: unknown): void {
  const expected = [ConfigError, AccessPolicyError].some((kind) => error instanceof kind);
  report({ kind: 'failed', message: expected ? (error as Error).message : inspect(error) }, () => process.exit(1));
}

function report(message: Report, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, then);
  else then();
}
