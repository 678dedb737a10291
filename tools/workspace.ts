import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const CLEANER = join(import.meta.dirname, 'cleaner.ts');
/**
 * Where a program whose PostgreSQL writes much makes its directory: in memory, which Linux has here, unless TMPDIR names another
 * place.
 */
export const MEMORY = process.env['TMPDIR'] === undefined && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** The pause between two looks for npm: milliseconds. */
const LOOK_MS = 500;

/**
 * The directory of one run of a program, below which everything is that the run makes. However the run ends, its services and
 * servers end too, and the directory goes: after a signal to the program or to npm, and after a kill of either
 * (cleaner.ts).
 */
export class Workspace {
  readonly directory: string;
  readonly #cleaner: ChildProcessByStdio<Socket, null, null>;

  /** @param stop what the program itself does after a signal, if cleaning up is not all */
  constructor(name: string, parent: string = tmpdir(), stop?: () => Promise<void>) {
    this.directory = mkdtempSync(join(parent, `passkey-${name}-`));
    this.#cleaner = spawn(process.execPath, [CLEANER], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    }) as ChildProcessByStdio<Socket, null, null>;
    this.#cleaner.stdin.write(this.directory);
    this.#cleaner.unref();
    this.#cleaner.stdin.unref();
    const endRun = (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void => {
      const exit = (): never => process.exit(128 + constants.signals[signal]);
      if (stop) void stop().finally(exit);
      else {
        this.#cleanNow();
        exit();
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, endRun);
    if (process.env['npm_lifecycle_event'] !== undefined)
      onEndOfParent(() => {
        endRun('SIGHUP');
      });
  }

  /** Ends what still runs for this run, and removes the directory. */
  async end(): Promise<void> {
    this.#cleaner.ref();
    const ended = once(this.#cleaner, 'exit');
    this.#cleaner.stdin.end();
    await ended;
  }

  /** Cleans up and lets nothing else run meanwhile, such as load that would report that its service is gone. */
  #cleanNow(): void {
    spawnSync(process.execPath, [CLEANER], { input: this.directory, stdio: ['pipe', 'ignore', 'inherit'] });
  }
}

/** npm passes SIGINT and SIGTERM on, but not SIGHUP, and a killed npm passes on nothing. */
function onEndOfParent(act: () => void): void {
  const parent = process.ppid;
  const looking = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(looking);
    act();
  }, LOOK_MS).unref();
}
