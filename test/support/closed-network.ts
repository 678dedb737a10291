import { Socket } from 'node:net';

/** Replaces the network. It notes every attempt to open a connection, and lets it fail. */
export class ClosedNetwork {
  readonly attempts: string[] = [];
  private readonly connect = Socket.prototype.connect;

  constructor() {
    const { attempts } = this;
    Socket.prototype.connect = function refuse(this: Socket, ...parameters: unknown[]): Socket {
      attempts.push(destinationOf(parameters));
      return this.destroy(new Error('the network is closed'));
    };
  }

  open(): void {
    Socket.prototype.connect = this.connect;
  }
}

/** `connect()` is called with options, with a port and a host, or by Node itself with both packed into one list. */
function destinationOf(parameters: unknown[]): string {
  const [first, host] = parameters.flat() as [object | number | string, string | undefined];
  if (typeof first !== 'object') return `${host ?? 'localhost'}:${String(first)}`;
  const { path, host: name = 'localhost', port } = first as { path?: string; host?: string; port?: number };
  return path ?? `${name}:${String(port)}`;
}
