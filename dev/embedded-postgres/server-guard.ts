import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type Cluster } from './cluster.js';
import { type OwnedServer, takeServer } from './ownership.js';
import { stopPostmaster } from './postmaster.js';

/**
 * Tells the server to end when its input ends without a line, as it does when this process is killed. It reads the pid then,
 * because the server may have been restarted.
 */
const WATCHMAN = 'read -r stopped || { read -r pid < "$0" && kill -INT "$pid"; }';

/** Restarts a server that dies, from its start to its stop. It holds nothing that keeps the process alive. */
export class ServerGuard {
  readonly #cluster: Cluster;
  /** undefined: the server is lost and cannot be restarted. */
  #server: OwnedServer | undefined;
  #recovery: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  /** undefined on Windows, where a server outlives a killed service until the next start. */
  readonly #watchman: ChildProcess | undefined;

  constructor(cluster: Cluster, server: OwnedServer) {
    this.#cluster = cluster;
    process.once('exit', this.#endWithProcess);
    this.#watchman = process.platform === 'win32' ? undefined : startWatchman(cluster);
    this.#watch(server);
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#end());
  }

  async #end(): Promise<void> {
    process.off('exit', this.#endWithProcess);
    await this.#recovery;
    this.#watchman?.stdin?.end('stopped\n');
    if (!this.#server) return;
    await stopPostmaster(this.#cluster, this.#server.pid);
    await this.#server.lock.end();
  }

  #watch(server: OwnedServer): void {
    this.#server = server;
    server.lock.once('end', () => {
      if (!this.#stopped) this.#recovery = this.#recover(server);
    });
    // pg.Client has this method, but its types do not declare it.
    (server.lock as unknown as { unref(): void }).unref();
  }

  /**
   * Takes the server again after its session ended: the server ended, or one backend crashed in a way that made the
   * server end every session.
   */
  async #recover(lost: OwnedServer): Promise<void> {
    try {
      this.#watch(await takeServer(this.#cluster, lost.port));
    } catch (error) {
      this.#server = undefined;
      process.emitWarning(`The embedded database is lost: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /**
   * Ends the server with the process. SIGINT asks PostgreSQL for a fast shutdown. On Windows it ends the server at
   * once, and the next start recovers.
   */
  readonly #endWithProcess = (): void => {
    try {
      if (this.#server) process.kill(this.#server.pid, 'SIGINT');
    } catch {
      // The server had ended already.
    }
  };
}

function startWatchman({ home }: Cluster): ChildProcess {
  const watchman = spawn('/bin/sh', ['-c', WATCHMAN, join(home, 'data', 'postmaster.pid')], {
    detached: true,
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it, a server outlives a killed service until the next start.
  watchman.on('error', () => undefined);
  watchman.stdin.on('error', () => undefined);
  watchman.unref();
  (watchman.stdin as Socket).unref();
  return watchman;
}
