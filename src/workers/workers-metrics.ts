import {
  AggregatorRegistry,
  collectDefaultMetrics,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { countLostLines } from '../telemetry/log-output.js';
import type { WorkerProcess } from './worker-process.js';

/** What a worker is asked for here. */
type Counting = Pick<WorkerProcess, 'state' | 'ask'>;

type Snapshot = MetricObjectWithValues<MetricValue<string>>[];

/** For a worker's answer: milliseconds. */
const PATIENCE_MS = 2_000;

/**
 * The metrics of all workers as one, and the primary's own. What a worker counted until it was last asked outlives it, so
 * that a counter never falls: a fall would read as a restart, and everything before it as new.
 */
export class WorkersMetrics {
  private readonly own = new Registry();
  private readonly latest = new Map<Counting, Snapshot>();
  private departed: Promise<Snapshot> = Promise.resolve([]);

  private readonly deaths = new Counter({
    name: 'passkey_worker_deaths_total',
    help: 'Workers that ended though nobody asked them to',
    registers: [this.own],
  });

  private readonly serving = new Gauge({
    name: 'passkey_workers_serving',
    help: 'Workers that serve',
    registers: [this.own],
  });

  constructor() {
    collectDefaultMetrics({ register: this.own });
    countLostLines(this.own);
  }

  died(worker: Counting): void {
    this.deaths.inc();
    const counted = (this.latest.get(worker) ?? []).filter(isCounted);
    this.latest.delete(worker);
    this.departed = this.departed.then((before) => sumOf([before, counted]));
  }

  /** In Prometheus' text format. A worker that does not answer counts as when it did. */
  async exposition(workers: readonly Counting[]): Promise<string> {
    const living = workers.filter(({ state }) => state === 'serving');
    this.serving.set(living.length);
    await Promise.all(
      living.map(async (worker) => {
        const answer = (await worker.ask('metrics', PATIENCE_MS)) as Snapshot | undefined;
        if (answer && worker.state === 'serving') this.latest.set(worker, answer);
      }),
    );
    const own = (await this.own.getMetricsAsJSON()).filter(isOfProcess);
    return AggregatorRegistry.aggregate([own, await this.departed, ...this.latest.values()]).metrics();
  }
}

function sumOf(snapshots: Snapshot[]): Promise<Snapshot> {
  return AggregatorRegistry.aggregate(snapshots).getMetricsAsJSON();
}

/** In prom-client's words, and against its types: the type of a metric is its name there. */
function isCounted({ type }: Snapshot[number]): boolean {
  return ['counter', 'histogram'].includes(String(type));
}

/** The primary's memory, CPU and files are the service's too; its event loop and heap do not serve. */
function isOfProcess({ name }: Snapshot[number]): boolean {
  return !name.startsWith('nodejs_');
}
