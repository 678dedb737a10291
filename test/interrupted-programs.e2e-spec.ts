import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from './support/until.js';

/** The programs that start others, each with a way to end it when a certain one runs. `npm` runs the script, and gets the signal. */
const CASES: readonly (readonly [program: string, signal: NodeJS.Signals, to: 'npm' | 'the program', runs: string])[] =
  [
    ['crashes', 'SIGTERM', 'npm', 'main.js'],
    ['crashes', 'SIGKILL', 'the program', 'main.js'],
    ['rotations -- --connections 2', 'SIGINT', 'npm', 'main.js'],
    ['rotations:keys', 'SIGHUP', 'npm', 'main.js'],
    ['races', 'SIGKILL', 'npm', 'main.js'],
    ['siege -- --short', 'SIGTERM', 'the program', 'main.js'],
    ['continuity', 'SIGINT', 'the program', 'postgres'],
    ['drill', 'SIGTERM', 'npm', 'postgres'],
    ['failover -- --rounds 1', 'SIGKILL', 'the program', 'patroni'],
    ['large-log', 'SIGHUP', 'the program', 'main.js'],
    ['bench -- --quick --contender service', 'SIGTERM', 'npm', 'postgres'],
    ['bench -- --soak', 'SIGHUP', 'the program', 'postgres'],
    ['bench -- --growth --sizes 1000', 'SIGKILL', 'the program', 'postgres'],
    ['conformance -- --check', 'SIGTERM', 'npm', 'jest'],
  ];

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Readonly<Record<string, string>> };
let own: string;
let leader: ChildProcess | undefined;
beforeEach(async () => {
  own = await mkdtemp(join(tmpdir(), 'passkey-manager-interrupted-'));
  // The account of a PostgreSQL passes through it to its own directories.
  await chmod(own, 0o711);
});
afterEach(async () => {
  try {
    if (leader?.exitCode === null && leader.signalCode === null) process.kill(-leader.pid!, 'SIGKILL');
  } finally {
    await rm(own, { recursive: true, force: true });
  }
});

/** Starts a program in a process group of its own. Its directory is below TMPDIR. */
function launch(program: string, by: 'npm' | 'the program'): ChildProcess {
  const [name = '', ...args] = program.split(' ');
  const command = (scripts[name] ?? '').replace(/^.* && /, '').replace('exec node ', '');
  const given = args.filter((arg) => arg !== '--');
  const [file, line] =
    by === 'npm' ? ['npm', ['run', name, '--', ...given]] : [process.execPath, [...command.split(' '), ...given]];
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: own };
  return spawn(file, line, { detached: true, env, stdio: 'ignore' });
}

/** Lists the directories of programs. npm and Jest keep caches beside them. */
function listDirectories(): string[] {
  return readdirSync(own)
    .filter((name) => name.startsWith('passkey-'))
    .map((name) => join(own, name));
}

/** Lists the processes that work in a directory or are told of it. */
function listProcesses(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const said = ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1'));
      return [readlinkSync(`/proc/${pid}/cwd`), ...said].some((text) => text.includes(directory));
    } catch {
      return false;
    }
  });
}

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

describe('a program that is interrupted leaves no process and no directory behind', () => {
  it.each(CASES)('%s, by %s to %s', async (program, signal, to, runs) => {
    leader = launch(program, to);
    const made = await until(() => listDirectories()[0]);
    await until(() => listProcesses(made).some((pid) => readCommandLine(pid).includes(runs)));
    const ended = once(leader, 'exit');
    leader.kill(signal);
    await ended;
    await until(() => !existsSync(made) && listProcesses(made).length === 0);
    expect(listDirectories()).toEqual([]);
  });
});
