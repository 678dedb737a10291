import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '../../src/config/clock.js';
import { Ceremonies } from './ceremonies.js';
import { Client, type ClientCertificate } from './client.js';
import { Contract } from './contract.js';
import { Pki } from './pki.js';
import type { DevelopmentIdentity } from './service.js';

const root = join(import.meta.dirname, '../..');

/** The number of characters of output to keep. */
const TAIL = 4_000;

/** Runs the built service in a process of its own, on the real clock. */
export class ServiceProcess {
  private readonly child: ChildProcess;
  readonly client: Client<DevelopmentIdentity>;
  readonly url: string;
  readonly managementUrl: string;
  /** Resolves with the exit code; null if a signal ended the process. */
  readonly ended: Promise<number | null>;
  private readonly words: Words;

  private constructor(
    child: ChildProcess,
    words: Words,
    client: Client<DevelopmentIdentity>,
    url: string,
    managementUrl: string,
  ) {
    this.child = child;
    this.words = words;
    this.client = client;
    this.url = url;
    this.managementUrl = managementUrl;
    this.ended = once(child, 'exit').then(([code]) => code as number | null);
  }

  /**
   * @param databaseUrl if it is empty, the service uses the embedded database in `dataDir`
   * @param project whose `dist` is started
   */
  static async start(
    dataDir: string,
    databaseUrl = '',
    env: NodeJS.ProcessEnv = {},
    project = root,
  ): Promise<ServiceProcess> {
    const child = spawn(process.execPath, ['dist/src/main.js'], {
      cwd: project,
      env: {
        PATH: process.env['PATH'],
        PASSKEY_DATA_DIR: dataDir,
        PASSKEY_ALLOW_DEVELOPMENT: 'true',
        PASSKEY_HTTPS_PORT: '0',
        PASSKEY_MANAGEMENT_PORT: '0',
        DATABASE_URL: databaseUrl,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const words = listenTo(child);
    const [url, managementUrl] = await addresses(child, words);
    const pki = new Pki(join(dataDir, 'pki'));
    const certificateOf = (identity: DevelopmentIdentity): ClientCertificate => pki.certificateOf(identity);
    const client = new Client(url, pki.ca, certificateOf, Contract.load());
    return new ServiceProcess(child, words, client, url, managementUrl);
  }

  /** The ceremonies of the relying party in a new development database. */
  get ceremonies(): Ceremonies<DevelopmentIdentity> {
    return new Ceremonies(this.client, systemClock, 'auth-service', 'localhost', 'http://localhost:3000');
  }

  /** The last TAIL characters of the output. */
  get lastWords(): string {
    return this.words.last;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Kills the process (SIGKILL). */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Sends SIGTERM and waits until the service has ended. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.client.close();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await this.ended;
  }
}

interface Words {
  last: string;
}

function listenTo(child: ChildProcess): Words {
  const words: Words = { last: '' };
  for (const output of [child.stdout, child.stderr]) {
    output?.on('data', (chunk: Buffer) => {
      words.last = (words.last + chunk.toString()).slice(-TAIL);
    });
  }
  return words;
}

/** Reads both addresses from the first line that has them: a warning of the start may come before it. */
async function addresses(child: ChildProcess, words: Words): Promise<[https: string, management: string]> {
  const { promise, resolve, reject } = Promise.withResolvers<[string, string]>();
  const look = (): void => {
    for (const line of words.last.split('\n').slice(0, -1)) {
      const [https, management] = line.match(/https?:\/\/[\d.]+:\d+/g) ?? [];
      if (https && management) resolve([https, management]);
    }
  };
  child.stdout?.on('data', look);
  child.stderr?.on('data', look);
  child.once('exit', (code) => {
    reject(new Error(`the service ended with ${String(code)}:\n${words.last}`));
  });
  return promise;
}
