import cluster from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Config, WorkerEnd } from '../../config/config.js';
import { WorkerError, WorkerProcess } from './worker-process.js';

/** A worker that lived this long was healthy, and ended by accident: milliseconds. */
const STEADY_MS = 10_000;
/** The pause before the second replacement in a row, which doubles with each further one: milliseconds. */
const BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;

/** In the folder that this process began in: a build since then has given `dist` to another folder. */
const PROGRAM = fileURLToPath(new URL(`../../main${extname(import.meta.url)}`, import.meta.url));

/** A number that must always have a worker. */
interface Place {
  worker: WorkerProcess;
  /** Consecutive deaths, each soon after a start. */
  deaths: number;
  replacing?: NodeJS.Timeout;
}

/**
 * Keeps the configured number of workers serving. A worker that ends is replaced at once; if its successor ends soon
 * too, the next replacement waits, longer each time. Connections go to the workers in turn, even if they are few and
 * long-lived (docs/adr/0013-workers.md).
 */
export class WorkerPool {
  /** Rejects when no worker serves and none can: after a failed start, or when the last worker cannot be replaced. */
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
    // Metrics have values that JSON cannot express.
    cluster.setupPrimary({ exec: PROGRAM, serialization: 'advanced' });
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    [this.failure, this.fail] = [promise, reject];
  }

  /** Sorted by their numbers, which begin at 1. A worker that has ended stays until it is replaced. */
  get workers(): readonly WorkerProcess[] {
    return this.places.map(({ worker }) => worker);
  }

  /**
   * Starts the workers. The first one starts alone, so that a task for one worker runs once, and a mistake is reported
   * once.
   *
   * @returns the URL at which all workers serve
   * @throws WorkerError with what the worker reported
   */
  async start(): Promise<string> {
    const url = await Promise.race([this.startPlace(1), this.failure]);
    const others = Array.from({ length: this.config.workers - 1 }, (_, index) => this.startPlace(index + 2));
    await Promise.race([Promise.all(others), this.failure]);
    this.phase = 'serving';
    return url;
  }

  /** Lets each worker answer its open requests. */
  async stop(): Promise<void> {
    this.phase = 'stopping';
    for (const { worker, replacing } of this.places) {
      clearTimeout(replacing);
      worker.stop();
    }
    await Promise.all(this.workers.map((worker) => worker.ended));
  }

  private startPlace(number: number): Promise<string> {
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
    }, ignoreOutcome);
    const end = await worker.ended;
    const error: unknown = await worker.serving.then(ignoreOutcome, (reason: unknown) => reason);
    if (this.phase === 'stopping') return;
    if (error !== undefined && (this.phase === 'starting' || this.isIdle())) this.fail(error);
    else this.replace(place, end, error);
  }

  private replace(place: Place, end: WorkerEnd, error: unknown): void {
    const { number, age, replaces } = place.worker;
    this.died(place.worker);
    place.deaths = age < STEADY_MS ? place.deaths + 1 : 1;
    const pause = computePause(place.deaths);
    const reason = error instanceof Error ? error.message : undefined;
    this.logger.error({ worker: number, exit: end, reason, pauseMs: pause }, 'a worker has ended and is replaced');
    // The replacement reports how the last worker that served ended.
    const lost = error === undefined ? end : (replaces ?? end);
    place.replacing = setTimeout(() => {
      place.worker = this.fork(number, lost);
      void this.watch(place);
    }, pause);
  }

  private isIdle(): boolean {
    return !this.workers.some(({ state }) => state === 'serving');
  }

  /** Port 0 stands for the same port as long as a worker serves there. */
  private keepUrl(url: string): void {
    this.url ??= url;
    if (url !== this.url)
      this.fail(new WorkerError(`No worker is left at ${this.url}, and port 0 now stands for another port`));
  }
}

/** @param deaths consecutive ones @returns milliseconds before the next replacement */
export function computePause(deaths: number): number {
  return deaths === 1 ? 0 : Math.min(BACKOFF_MS * 2 ** (deaths - 2), MAX_BACKOFF_MS);
}

function ignoreOutcome(): void {
  // The caller handles this outcome elsewhere.
}
