import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AttackerMessage } from './attacker.js';
import type { Counts, Target } from './sockets.js';

/** Starts and stops attacks in a process of their own. */
export class AttackerProcess {
  private readonly child: ChildProcess;
  private readonly target: Target;

  constructor(target: Target) {
    this.target = target;
    this.child = fork(join(import.meta.dirname, 'attacker.ts'));
  }

  start(attack: string): void {
    this.child.send({ attack, target: this.target } satisfies AttackerMessage);
  }

  /** @returns the counts of the attack */
  async stop(): Promise<Counts> {
    const done = new AbortController();
    const reported = once(this.child, 'message', { signal: done.signal });
    const ended = once(this.child, 'exit', { signal: done.signal });
    this.child.send({ stop: true } satisfies AttackerMessage);
    const first = await Promise.race([reported, ended.then(() => [])]);
    done.abort();
    await Promise.allSettled([reported, ended]);
    const [counts] = first as [Counts?];
    if (counts === undefined) throw new Error('the attacker has ended');
    return counts;
  }

  end(): void {
    this.child.disconnect();
  }
}
