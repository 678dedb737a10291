import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pinned } from './placement.js';

export interface ServerProcess {
  readonly pid: number;
  readonly url: string;
  /** The file of its output, like a log in production. */
  readonly log: string;
  /** The URL of its debugger, if it has one. */
  readonly debuggerUrl: string | undefined;
  stop(): Promise<void>;
}

/** Starts a Node program on the contender's core and waits for the first URL in its output. */
export async function startServer(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
): Promise<ServerProcess> {
  const file = openSync(log, 'a');
  const [command, pinnedArgs] = pinned('service', args);
  const child = spawn(command, pinnedArgs, {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
    stdio: ['ignore', file, file],
  });
  const exited = once(child, 'exit');
  for (;;) {
    const said = readFileSync(log, 'utf8');
    const url = /https?:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
    if (url) return { pid: child.pid!, url, log, debuggerUrl: /ws:\/\/\S+/.exec(said)?.[0], stop: () => end() };
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} did not start:\n${said.slice(-2_000)}`);
    await sleep(50);
  }

  async function end(): Promise<void> {
    child.kill('SIGTERM');
    await exited;
  }
}
