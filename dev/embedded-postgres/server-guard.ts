import { type Cluster } from './cluster.js';
import { type OwnedServer, takeServer } from './ownership.js';
import { stopPostmaster } from './postmaster.js';

/** Restarts a server that dies, from its start to its stop. It holds nothing that keeps the process alive. */
export class ServerGuard {
  readonly #cluster: Cluster;
  /** undefined: the server is lost and cannot be restarted. */
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
