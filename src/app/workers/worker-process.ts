import cluster, { type Worker } from 'node:cluster';
import type { Config, WorkerEnd } from '../../config/config.js';
import type { Order, Question, Report } from './messages.js';

/** The reason why a worker does not serve. */
export class WorkerError extends Error {
  override name = 'WorkerError';
}

/** A worker as the primary sees it, from its fork to its end. */
export class WorkerProcess {
  state: 'starting' | 'serving' | 'ended' = 'starting';
  readonly pid: number;
  /** Resolves with the URL. @throws WorkerError when it ends before it serves */
  readonly serving: Promise<string>;
  readonly ended: Promise<WorkerEnd>;
  private readonly forkedAt = performance.now();
  private readonly worker: Worker;
  private readonly questions = new Map<number, (answer: unknown) => void>();
  private asked = 0;
  private here = false;
  private stopping = false;
  private message: string | undefined;

  constructor(private readonly config: Config) {
    this.worker = cluster.fork();
    this.pid = this.worker.process.pid!;
    // Sending to a process that has just ended fails, and 'exit' reports its end.
    this.worker.on('error', () => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.serving = promise;
    promise.catch(() => undefined);
    this.worker.on('message', (report: Report) => {
      this.handleReport(report, resolve);
    });
    this.ended = new Promise((ended) => {
      this.worker.once('exit', (code: number | null, signal: string | null) => {
        this.state = 'ended';
        for (const giveUp of this.questions.values()) giveUp(undefined);
        reject(new WorkerError(this.message ?? `A worker ended with ${String(signal ?? code)} before it served`));
        ended({ pid: this.pid, code, signal: code === null ? signal : null });
      });
    });
  }

  get number(): number {
    return this.config.worker?.number ?? 1;
  }

  get replaces(): WorkerEnd | undefined {
    return this.config.worker?.replaces;
  }

  /** Milliseconds since the fork. */
  get age(): number {
    return performance.now() - this.forkedAt;
  }

  /** Asks the worker a question. @returns undefined if it does not answer within `patience` milliseconds */
  ask(about: Question['about'], patience: number): Promise<unknown> {
    if (this.state !== 'serving') return Promise.resolve(undefined);
    const id = (this.asked += 1);
    return new Promise((resolve) => {
      const settle = (answer?: unknown): void => {
        clearTimeout(timer);
        this.questions.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(settle, patience);
      this.questions.set(id, settle);
      this.send({ kind: 'ask', id, about });
    });
  }

  /** Lets the worker answer its open requests and end. */
  stop(): void {
    this.stopping = true;
    if (this.here) this.send({ kind: 'stop' });
  }

  private handleReport(report: Report, served: (url: string) => void): void {
    switch (report.kind) {
      case 'here':
        this.here = true;
        this.send(this.stopping ? { kind: 'stop' } : { kind: 'start', config: this.config });
        return;
      case 'serving':
        this.state = 'serving';
        served(report.url);
        return;
      case 'failed':
        this.message = report.message;
        return;
      case 'answer':
        this.questions.get(report.id)?.(report.answer);
    }
  }

  private send(order: Order): void {
    if (this.worker.isConnected()) this.worker.send(order, () => undefined);
  }
}
