import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  chooseServerAccount,
  createEnvironment,
  type Run,
  runProgram,
  type ServerAccount,
} from '../../dev/embedded-postgres/server-account.js';

const PATIENCE_MS = 120_000;
const POLL_MS = 20;

/** The servers of a cluster, which run with the account that PostgreSQL accepts. Their files and logs are in `home`. */
export class Servers {
  readonly home: string;
  private readonly account: ServerAccount;

  private constructor(home: string, account: ServerAccount) {
    this.home = home;
    this.account = account;
  }

  static async open(home: string): Promise<Servers> {
    return new Servers(home, await chooseServerAccount(join(home, 'no data yet')));
  }

  /** Starts a server. Its output goes to `name`.log. */
  spawn(name: string, program: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.home, `${name}.log`), 'a');
    const env = { ...createEnvironment(), PATH: process.env['PATH'] };
    return spawn(program, args, { cwd: this.home, env, stdio: ['ignore', log, log], ...this.account });
  }

  /** Runs a program to its end. */
  run(program: string, args: readonly string[]): Promise<Run> {
    return runProgram(this.account, program, args, { cwd: this.home });
  }

  /** Makes a directory that the account owns. @returns its path */
  own(name: string): string {
    const path = join(this.home, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { uid, gid } = this.account;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
    return path;
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await Promise.race([once(child, 'exit'), sleep(15_000).then(() => child.kill('SIGKILL'))]);
}

/** Asks again and again until there is an answer. */
export async function patiently<Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not within two minutes: ${what}`);
    await sleep(POLL_MS);
  }
}
