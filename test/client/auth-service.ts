import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../support/until.js';

/** The consumer's program in a process of its own. */
export class AuthService {
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #url: string;

  private constructor(child: ChildProcess, version: string, url: string) {
    this.#child = child;
    this.version = version;
    this.#url = url;
  }

  static async start(node: string, directory: string, url: string, pki: string): Promise<AuthService> {
    const child = spawn(node, ['auth-service.js', url, pki], { cwd: directory });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    const [, version = '', address = ''] = await until(() => {
      if (child.exitCode !== null) throw new Error(output);
      return /^Node\.js (\S+) listens on (\S+)$/m.exec(output) ?? undefined;
    });
    return new AuthService(child, version, address);
  }

  async post(path: string, body: unknown = {}): Promise<Record<string, unknown>> {
    const response = await fetch(this.#url + path, { method: 'POST', body: JSON.stringify(body) });
    return (await response.json()) as Record<string, unknown>;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill();
    await once(this.#child, 'exit');
  }
}
