import { once } from 'node:events';
import { WebSocket } from 'undici';

/** A CPU profile of V8 (`.cpuprofile`): samples of the main thread's stack. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** The node id of each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** The part of the debugger's protocol that a profile needs. */
export class Inspector {
  private readonly socket: WebSocket;
  private requests = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
  }

  /** @param url the address of a program that runs with `--inspect` */
  static async attach(url: string): Promise<Inspector> {
    const socket = new WebSocket(url);
    await once(socket as unknown as EventTarget, 'open');
    return new Inspector(socket);
  }

  /** @param interval microseconds between samples */
  async start(interval: number): Promise<void> {
    await this.ask('Profiler.enable');
    await this.ask('Profiler.setSamplingInterval', { interval });
    await this.ask('Profiler.start');
  }

  async stop(): Promise<CpuProfile> {
    const { profile } = (await this.ask('Profiler.stop')) as { profile: CpuProfile };
    this.socket.close();
    return profile;
  }

  private ask(method: string, params: object = {}): Promise<unknown> {
    const id = (this.requests += 1);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const listen = (event: { data: unknown }): void => {
      const answer = JSON.parse(String(event.data)) as { id?: number; result?: unknown };
      if (answer.id !== id) return;
      this.socket.removeEventListener('message', listen);
      resolve(answer.result);
    };
    this.socket.addEventListener('message', listen);
    this.socket.send(JSON.stringify({ id, method, params }));
    return promise;
  }
}
