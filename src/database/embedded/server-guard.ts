import { type Cluster } from './cluster.js';
import { type OwnedServer, takeServer } from './ownership.js';
import { stopPostmaster } from './postmaster.js';

/** Watches over a server from its start to its stop. Holds nothing that keeps the process from ending. */
export class ServerGuard {
  readonly #cluster: Cluster;
  /** Undefined: lost, and not to be had again. */
  #server: OwnedServer | undefined;
  #recovery: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(cluster: Cluster, server: OwnedServer) {
    this.#cluster = cluster;
    process.once('exit', this.#endWithProcess);
    this.#watch(server);
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#end());
  }

  async #end(): Promise<void> {
    process.off('exit', this.#endWithProcess);
    await this.#recovery;
    if (!this.#server) return;
    await stopPostmaster(this.#cluster, this.#server.pid);
    await this.#server.lock.end();
  }

  #watch(server: OwnedServer): void {
    this.#server = server;
    server.lock.once('end', () => {
      if (!this.#stopped) this.#recovery = this.#recover(server);
    });
    // Part of pg's Client, not of its declarations.
    (server.lock as unknown as { unref(): void }).unref();
  }

  /** The session ended, so the server did: all of it, or one backend in a way that made it end every session. */
  async #recover(lost: OwnedServer): Promise<void> {
    try {
      this.#watch(await takeServer(this.#cluster, lost.port));
    } catch (error) {
      this.#server = undefined;
      process.emitWarning(`The embedded database is lost: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** SIGINT asks PostgreSQL for a fast shutdown; on Windows it ends it at once, and the next start recovers. */
  readonly #endWithProcess = (): void => {
    try {
      if (this.#server) process.kill(this.#server.pid, 'SIGINT');
    } catch {
      // It had ended already.
    }
  };
}
