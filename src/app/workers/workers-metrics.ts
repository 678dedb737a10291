import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { registerProcessMetrics } from '../../telemetry/process-metrics.js';
import type { WorkerProcess } from './worker-process.js';

/** The part of a worker that is used here. */
type CountingWorker = Pick<WorkerProcess, 'state' | 'ask'>;

type Snapshot = MetricObjectWithValues<MetricValue<string>>[];

/** Milliseconds that a worker has to answer. */
const PATIENCE_MS = 2_000;

/**
 * Sums up the metrics of all workers and of the primary. What a dead worker had counted when it was last asked stays in
 * the sums, so that a counter never falls: Prometheus would take a fall for a restart, and count everything before it
 * again.
 */
export class WorkersMetrics {
  private readonly own = new Registry();
  private readonly latest = new Map<CountingWorker, Snapshot>();
  private departed: Promise<Snapshot> = Promise.resolve([]);

  private readonly exits = new Counter({
    name: 'passkey_worker_exits_total',
    help: 'Workers that ended unexpectedly',
    registers: [this.own],
  });

  private readonly serving = new Gauge({
    name: 'passkey_workers_serving',
    help: 'Workers that serve and answer',
    registers: [this.own],
  });

  /** @param expected the number of workers in the settings */
  constructor(expected: number) {
    new Gauge({
      name: 'passkey_workers_expected',
      help: 'Workers that the settings ask for',
      registers: [this.own],
    }).set(expected);
    registerProcessMetrics(this.own);
  }

  recordDeath(worker: CountingWorker): void {
    this.exits.inc();
    const counted = (this.latest.get(worker) ?? []).filter(isCounted);
    this.latest.delete(worker);
    this.departed = this.departed.then((before) => sumSnapshots([before, counted]));
  }

  /** Gives the metrics in Prometheus' text format. A worker that does not answer counts with its latest answer. */
  async renderMetrics(workers: readonly CountingWorker[]): Promise<string> {
    const living = workers.filter(({ state }) => state === 'serving');
    const answers = await Promise.all(
      living.map(async (worker) => {
        const answer = (await worker.ask('metrics', PATIENCE_MS)) as Snapshot | undefined;
        if (!answer || worker.state !== 'serving') return false;
        this.latest.set(worker, answer);
        return true;
      }),
    );
    this.serving.set(answers.filter(Boolean).length);
    const own = (await this.own.getMetricsAsJSON()).filter(isProcessMetric);
    return AggregatorRegistry.aggregate([own, await this.departed, ...this.latest.values()]).metrics();
  }
}

function sumSnapshots(snapshots: Snapshot[]): Promise<Snapshot> {
  return AggregatorRegistry.aggregate(snapshots).getMetricsAsJSON();
}

/** Accepts the type as a name: prom-client reports it so, although its types declare an enum. */
function isCounted({ type }: Snapshot[number]): boolean {
  return ['counter', 'histogram'].includes(String(type));
}

/** Keeps the primary's memory, CPU and files, which belong to the service. Its event loop and heap serve no caller. */
function isProcessMetric({ name }: Snapshot[number]): boolean {
  return !name.startsWith('nodejs_');
}
