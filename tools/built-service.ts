import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

export interface Service {
  readonly url: string;
  readonly pid: number;
  /** Returns the current epoch and the digest of the current access policy. */
  readCurrent(): Promise<{ epoch: number; policy: string }>;
  stop(): Promise<void>;
}

/** Starts the built service in a process of its own. */
export async function startService(env: Record<string, string>): Promise<Service> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'dist/src/main.js'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: process.env['DATABASE_URL'] ?? '',
      PASSKEY_ALLOW_DEVELOPMENT: 'true',
      PASSKEY_HTTPS_PORT: '0',
      PASSKEY_MANAGEMENT_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [url, management] = await addresses(child);
  return {
    url,
    pid: child.pid!,
    readCurrent: async () => {
      const health = (await (await fetch(`${management}/health/ready`)).json()) as {
        details: { certificate: { epoch: number }; access_policy: { digest: string } };
      };
      return { epoch: health.details.certificate.epoch, policy: health.details.access_policy.digest };
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Reads the addresses of both listeners from the first line that has them. */
async function addresses(child: ChildProcess): Promise<[string, string]> {
  const { promise, resolve, reject } = Promise.withResolvers<[string, string]>();
  let said = '';
  const listen = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-10_000);
    const [, https, http] = /(https:\/\/[\d.]+:\d+).*(http:\/\/[\d.]+:\d+).*\n/.exec(said) ?? [];
    if (https && http) resolve([https, http]);
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  child.once('exit', (code) => {
    reject(new Error(`the service ended with ${String(code)}: ${said}`));
  });
  return promise;
}
