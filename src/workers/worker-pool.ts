import cluster from 'node:cluster';
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import type { WorkerEnd } from '../config/worker.js';
import { WorkerError, WorkerProcess } from './worker-process.js';

/** A worker that lived so long ended by an accident: milliseconds. */
const STEADY_MS = 10_000;
/** Before the second replacement in a row; doubled with each further one: milliseconds. */
const BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;

/** One of the places that are to be filled. */
interface Place {
  worker: WorkerProcess;
  /** In a row, each soon after its start. */
  deaths: number;
  replacing?: NodeJS.Timeout;
}

/**
 * The workers that serve. Their number is kept: one that ends is replaced at once, and where that ends soon too, after a
 * pause that grows. Connections go to them in turns, also few and long-lived ones (docs/adr/0013-workers.md).
 */
export class WorkerPool {
  /** Rejects when nobody serves and nobody can: a start that failed, or the replacement of the last one. */
  readonly failure: Promise<never>;
  private readonly fail: (error: unknown) => void;
  private readonly places: Place[] = [];
  private url: string | undefined;
  private phase: 'starting' | 'serving' | 'stopping' = 'starting';

  constructor(
    private readonly config: Config,
    private readonly logger: Logger,
    private readonly died: (worker: WorkerProcess) => void,
  ) {
    cluster.schedulingPolicy = cluster.SCHED_RR;
    // Among the values of metrics are some that JSON does not know.
    cluster.setupPrimary({ serialization: 'advanced' });
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    [this.failure, this.fail] = [promise, reject];
  }

  /** In the order of their numbers, which begin at 1; one that ended stays until it is replaced. */
  get workers(): readonly WorkerProcess[] {
    return this.places.map(({ worker }) => worker);
  }

  /**
   * The first worker starts alone, so that what is to be done once is done, and what is wrong is told, once.
   *
   * @returns the URL at which all serve
   * @throws WorkerError with what the worker said
   */
  async start(): Promise<string> {
    const url = await Promise.race([this.occupy(1), this.failure]);
    const others = Array.from({ length: this.config.workers - 1 }, (_, index) => this.occupy(index + 2));
    await Promise.race([Promise.all(others), this.failure]);
    this.phase = 'serving';
    return url;
  }

  /** Each answers what it was asked. */
  async stop(): Promise<void> {
    this.phase = 'stopping';
    for (const { worker, replacing } of this.places) {
      clearTimeout(replacing);
      worker.stop();
    }
    await Promise.all(this.workers.map((worker) => worker.ended));
  }

  private occupy(number: number): Promise<string> {
    const place = { worker: this.fork(number), deaths: 0 };
    this.places.push(place);
    void this.watch(place);
    return place.worker.serving;
  }

  private fork(number: number, replaces?: WorkerEnd): WorkerProcess {
    return new WorkerProcess({ ...this.config, worker: { number, of: this.config.workers, replaces } });
  }

  private async watch(place: Place): Promise<void> {
    const { worker } = place;
    worker.serving.then((url) => {
      this.keepUrl(url);
    }, noop);
    const end = await worker.ended;
    const error: unknown = await worker.serving.then(noop, (reason: unknown) => reason);
    if (this.phase === 'stopping') return;
    if (error !== undefined && (this.phase === 'starting' || this.isIdle())) this.fail(error);
    else this.replace(place, end, error);
  }

  private replace(place: Place, end: WorkerEnd, error: unknown): void {
    const { number, age, replaces } = place.worker;
    this.died(place.worker);
    place.deaths = age < STEADY_MS ? place.deaths + 1 : 1;
    const pause = pauseAfter(place.deaths);
    const reason = error instanceof Error ? error.message : undefined;
    this.logger.error({ worker: number, ended: end, reason, pause }, 'a worker has ended and is replaced');
    // What is to be told is how the last one ended that served.
    const lost = error === undefined ? end : (replaces ?? end);
    place.replacing = setTimeout(() => {
      place.worker = this.fork(number, lost);
      void this.watch(place);
    }, pause);
  }

  private isIdle(): boolean {
    return !this.workers.some(({ state }) => state === 'serving');
  }

  /** Port 0 stands for one port as long as a worker serves there. */
  private keepUrl(url: string): void {
    this.url ??= url;
    if (url !== this.url) this.fail(new WorkerError(`No worker is left at ${this.url}, and port 0 is now another one`));
  }
}

/** @param deaths in a row @returns milliseconds before the next replacement */
export function pauseAfter(deaths: number): number {
  return deaths === 1 ? 0 : Math.min(BACKOFF_MS * 2 ** (deaths - 2), MAX_BACKOFF_MS);
}

function noop(): void {
  // Told elsewhere.
}
