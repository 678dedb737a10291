import type { Server, Socket } from 'node:net';

/**
 * Bounds the connections of a server that does not identify its callers. A new connection replaces the oldest one, so a
 * client that holds many cannot keep a probe out.
 */
export function keepNewestConnections(server: Server, max: number): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > max) oldest?.destroy();
  });
}
