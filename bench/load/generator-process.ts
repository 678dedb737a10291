import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pinned } from '../measure/placement.js';
import type { Target } from './connection.js';
import type { Command, Load, Run } from './generator.js';
import type { Observed } from './tally.js';

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

/** The benchmark's handle of one contender's generator. */
export class GeneratorProcess {
  readonly pid: number;
  private readonly child: ChildProcess;

  /** @param users the number to enrol, or the file of a loaded population */
  constructor(contender: string, target: Target, users: number | string) {
    const hooks = ['--import', join(import.meta.dirname, '../resolution.mjs')];
    const program = [...hooks, join(import.meta.dirname, 'generator.ts')];
    const [command, args] = pinned('generator', [...program, contender, JSON.stringify(target), String(users)]);
    this.child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
    this.pid = this.child.pid!;
  }

  async enrol(): Promise<void> {
    await this.tell({ enrol: true });
  }

  /** Reconnects before each run, because the server may have closed connections meanwhile. */
  async connect(load: Load): Promise<void> {
    await this.tell({ connect: load });
  }

  async run(run: Run): Promise<Observed> {
    return (await this.tell({ run })) as Observed;
  }

  stop(): void {
    if (this.child.connected) this.child.disconnect();
  }

  private async tell(command: Command): Promise<unknown> {
    this.child.send(command);
    const { result, error } = await new Promise<Answer>((resolve) => {
      this.child.removeAllListeners();
      this.child.once('message', resolve);
      this.child.once('exit', () => {
        resolve({ error: 'the generator ended' });
      });
    });
    if (error !== undefined) throw new Error(error);
    return result;
  }
}
