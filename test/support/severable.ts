import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { promisify } from 'node:util';

/** A proxy between the service and its database that a test can cut or stall. */
export class Severable {
  private readonly sockets = new Set<Socket>();
  private state: 'open' | 'cut' | 'still' = 'open';
  private readonly server: Server;
  private target: URL;

  private constructor(server: Server, target: URL) {
    this.server = server;
    this.target = target;
  }

  static async openBefore(url: string): Promise<Severable> {
    const server = createServer();
    const wire = new Severable(server, new URL(url));
    server.on('connection', (socket) => {
      wire.join(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  /** Returns the database's URL with the address of this wire. */
  get url(): string {
    const url = new URL(this.target);
    url.hostname = '127.0.0.1';
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** Ends every connection and refuses new ones. */
  cut(): void {
    this.state = 'cut';
    for (const socket of this.sockets) socket.destroy();
  }

  /** Forwards new connections to another database. */
  redirect(url: string): void {
    this.target = new URL(url);
    this.restore();
  }

  /** Keeps every connection open and forwards nothing. */
  hold(): void {
    this.state = 'still';
    for (const socket of this.sockets) socket.pause();
  }

  restore(): void {
    this.state = 'open';
    for (const socket of this.sockets) socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    await promisify(this.server.close.bind(this.server))();
  }

  private join(socket: Socket): void {
    if (this.state === 'cut') {
      socket.destroy();
      return;
    }
    const onward = connect(Number(this.target.port), this.target.hostname);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.sockets.add(end);
      end.on('data', (chunk) => other.write(chunk));
      end.on('error', () => other.destroy());
      end.on('close', () => {
        this.sockets.delete(end);
        other.destroy();
      });
      if (this.state === 'still') end.pause();
    }
  }
}
