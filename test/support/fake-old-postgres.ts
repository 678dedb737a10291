import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { promisify } from 'node:util';

/** The message of a protocol 3.0 server: its type, its length and its body. */
function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

/** A server that says that it is of a version, and accepts every login. It runs no statement. */
export class FakeOldPostgres {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async listen(version: string): Promise<FakeOldPostgres> {
    const server = createServer();
    const fake = new FakeOldPostgres(server);
    server.on('connection', (socket) => {
      fake.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(message('R', Buffer.alloc(4)));
        socket.write(message('S', Buffer.from(`server_version\0${version}\0`)));
        socket.write(message('K', Buffer.from('0000000100000002', 'hex')));
        socket.write(message('Z', Buffer.from('I')));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `postgresql://anybody@127.0.0.1:${String((this.server.address() as AddressInfo).port)}/any`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await promisify(this.server.close.bind(this.server))();
  }
}
