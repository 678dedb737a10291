import type { Socket } from 'node:net';
import { Problem } from './problem.js';
import type { Metrics } from '../telemetry/metrics.js';

/** How many requests one process handles at a time. */
export interface AdmissionBounds {
  /** Requests whose handler runs. */
  readonly running: number;
  /** Running requests of one caller. */
  readonly share: number;
  /** Running reads of all callers: lists, audit queries and proofs must never use every database connection. */
  readonly reads: number;
  /** Requests of one caller that run, wait for their turn, or have an answer that the caller has not read yet. */
  readonly open: number;
  /** The longest time that a request waits for its turn: milliseconds. */
  readonly patience: number;
}

const RUNNING = 256;

/** @param share the percentage of the running requests that one caller may have */
export function computeAdmissionBounds(share: number, workers: number): AdmissionBounds {
  return {
    running: RUNNING,
    share: Math.max(1, Math.floor((RUNNING * share) / 100)),
    reads: workers === 1 ? 4 : 1, // of 10 or 2 connections: src/database/data-source.ts
    open: 256,
    patience: 3_000,
  };
}

/** A queue of requests. Each caller has one line for its reads and one for its other requests. */
interface RequestQueue {
  readonly key: string;
  readonly isRead: boolean;
  running: number;
  open: number;
  readonly waiting: QueuedRequest[];
}

interface QueuedRequest {
  readonly socket: Socket;
  readonly begin: () => void;
  readonly refuse: (problem: Problem) => void;
}

/** The callbacks that end the turn of an admitted request. */
export interface AdmittedRequest {
  /** Call this when the handler has settled: the next request may run. */
  readonly settle: () => void;
  /** Call this when the caller has read the answer, or never will. */
  readonly leave: () => void;
}

/**
 * Decides which requests run, once their body has been read and their permission is granted. A caller that sends more
 * than its share delays only its own requests, because the lines take turns. A turn ends when the handler settles, not
 * when the connection closes, because the work goes on until then.
 */
export class Admission {
  private running = 0;
  private reads = 0;
  private readIsDue = false;
  /** The lines in the order of their turns. Only callers that the access policy names get here. */
  private readonly lines = new Map<string, RequestQueue>();

  constructor(
    private readonly metrics: Metrics,
    private readonly bounds: AdmissionBounds,
  ) {}

  /** @throws Problem unavailable if too many requests are open, the wait was too long, or the caller has gone */
  async admit(identity: string, isRead: boolean, socket: Socket): Promise<AdmittedRequest> {
    const line = this.getQueue(identity, isRead);
    if (line.open >= this.bounds.open) throw this.shed('too many requests of this caller are being answered');
    line.open += 1;
    try {
      if (socket.destroyed) throw new Problem('unavailable', GONE);
      if (!this.canRun(line)) await this.wait(line, socket);
      else this.begin(line);
    } catch (problem) {
      this.leave(line);
      throw problem;
    }
    return {
      settle: () => {
        this.settle(line);
      },
      leave: () => {
        this.leave(line);
      },
    };
  }

  private getQueue(identity: string, isRead: boolean): RequestQueue {
    const key = `${identity} ${isRead ? 'reads' : ''}`;
    const line = this.lines.get(key) ?? { key, isRead, running: 0, open: 0, waiting: [] };
    this.lines.set(key, line);
    return line;
  }

  private canRun({ running, isRead }: RequestQueue): boolean {
    const { bounds } = this;
    return this.running < bounds.running && running < bounds.share && !(isRead && this.reads >= bounds.reads);
  }

  private begin(line: RequestQueue): void {
    this.running += 1;
    line.running += 1;
    if (line.isRead) this.reads += 1;
    this.metrics.requestsInFlight.set(this.running);
  }

  private settle(line: RequestQueue): void {
    this.running -= 1;
    line.running -= 1;
    if (line.isRead) this.reads -= 1;
    this.metrics.requestsInFlight.set(this.running);
    this.beginSoon(line.isRead);
  }

  private leave(line: RequestQueue): void {
    line.open -= 1;
    if (line.open === 0) this.lines.delete(line.key);
  }

  private wait(line: RequestQueue, socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.metrics.requestsWaiting.dec();
      };
      const turn: QueuedRequest = {
        socket,
        begin: () => {
          end();
          this.begin(line);
          resolve();
        },
        refuse: (problem) => {
          end();
          reject(problem);
        },
      };
      this.metrics.requestsWaiting.inc();
      const timer = setTimeout(() => {
        line.waiting.splice(line.waiting.indexOf(turn), 1);
        turn.refuse(this.shed('too many requests are being answered'));
      }, this.bounds.patience).unref();
      line.waiting.push(turn);
    });
  }

  /**
   * Runs after the event loop's other work. It begins one read per turn of the loop, because a read can occupy it for
   * long.
   */
  private beginSoon(isRead: boolean): void {
    if (isRead && this.readIsDue) return;
    this.readIsDue ||= isRead;
    setImmediate(() => {
      if (isRead) this.readIsDue = false;
      if (this.beginNext() && isRead) this.beginSoon(true);
    });
  }

  /**
   * Gives a turn to the line that has waited longest, and drops the requests of connections that have closed.
   *
   * @returns true if a request began
   */
  private beginNext(): boolean {
    for (const line of this.lines.values()) {
      while (line.waiting[0]?.socket.destroyed) line.waiting.shift()!.refuse(new Problem('unavailable', GONE));
      if (!line.waiting[0] || !this.canRun(line)) continue;
      this.lines.delete(line.key);
      this.lines.set(line.key, line);
      line.waiting.shift()!.begin();
      return true;
    }
    return false;
  }

  private shed(detail: string): Problem {
    this.metrics.requestsShed.inc();
    return new Problem('unavailable', { retryAfter: 1, detail });
  }
}

const GONE = { detail: 'the caller has closed its connection' };
