import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface LaunchedProgram {
  readonly name: string;
  /** Returns what the program has printed so far. */
  readonly output: () => string;
  readonly isRunning: () => boolean;
  /** Resolves to the exit code when the program has ended. */
  readonly ended: Promise<number | null>;
  /** Sends SIGTERM and waits until the program has ended. */
  stop(): Promise<number | null>;
}

export interface PasskeyManagerProcess extends LaunchedProgram {
  readonly url: string;
  readonly managementUrl: string;
}

const READY_WITHIN_MS = 120_000;

export async function launchPasskeyManager(env: NodeJS.ProcessEnv, logFile?: string): Promise<PasskeyManagerProcess> {
  const launched = launch('Passkey Manager', new URL('../../dist/src/main.js', import.meta.url), env, logFile);
  const url = await waitForOutput(launched, /https:\/\/127\.0\.0\.1:\d+/);
  const managementUrl = await waitForOutput(launched, /http:\/\/127\.0\.0\.1:\d+/);
  // Without a limit, an answer that never comes would outlast the deadline of the start.
  const ask = () => fetch(`${managementUrl}/health/ready`, { signal: AbortSignal.timeout(5_000) });
  await waitUntil(launched, async () => (await ask()).ok);
  return { ...launched, url, managementUrl };
}

export async function launchAuthService(env: NodeJS.ProcessEnv): Promise<LaunchedProgram> {
  const launched = launch('auth-service', new URL('./server.ts', import.meta.url), env);
  await waitForOutput(launched, /listens on http:\/\/[\w.-]+:\d+/);
  return launched;
}

/** @param env with `SHOP_KEY` as auth-service has it, which must run */
export async function launchShop(env: NodeJS.ProcessEnv): Promise<LaunchedProgram> {
  const launched = launch('shop', new URL('../shop/server.ts', import.meta.url), env);
  await waitForOutput(launched, /listens on http:\/\/localhost:\d+/);
  return launched;
}

function launch(name: string, script: URL, env: NodeJS.ProcessEnv, logFile?: string): LaunchedProgram {
  let output = '';
  // Ctrl-C in a terminal signals the whole process group. In its own group, the child gets only the signal of stop().
  const child = spawn(process.execPath, [fileURLToPath(script)], {
    env,
    detached: true,
    // The channel carries nothing. The child ends when it closes, even if this process is killed.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-100_000)));
    if (logFile !== undefined) {
      mkdirSync(dirname(logFile), { recursive: true });
      stream.pipe(createWriteStream(logFile, { flags: 'a' }));
    }
  }
  process.once('exit', () => child.kill('SIGTERM'));
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  const running = () => child.exitCode === null && child.signalCode === null;
  return { name, output: () => output, isRunning: running, ended, stop };
}

async function waitForOutput(launched: LaunchedProgram, pattern: RegExp): Promise<string> {
  await waitUntil(launched, () => pattern.test(launched.output()));
  return pattern.exec(launched.output())![0];
}

async function waitUntil(launched: LaunchedProgram, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await Promise.resolve(holds()).catch(() => false))) {
    if (!launched.isRunning()) throw new Error(`${launched.name} ended before it was ready:\n${launched.output()}`);
    if (Date.now() > deadline) {
      await launched.stop();
      throw new Error(`${launched.name} was not ready in time:\n${launched.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
