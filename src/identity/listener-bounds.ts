import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Metrics } from '../telemetry/metrics.js';

const MAX_CONNECTIONS = 4_000;
/** The share of them that unfinished TLS handshakes may take. */
const MAX_HANDSHAKES = 500;
const MAX_ESTABLISHED = MAX_CONNECTIONS - MAX_HANDSHAKES;
const MAX_HANDSHAKES_PER_ADDRESS = 64;
/**
 * Milliseconds that each handshake has before the bound of its address applies. A fleet behind one address may begin
 * many at once, and needs less than this for all of them.
 */
const GRACE_MS = 1_000;

/**
 * The reason why the listener closes a connection before its handshake has finished. The audit log records `code` as
 * the reason.
 */
class ConnectionRefusedError extends Error {
  constructor(readonly code: 'listener-full' | 'too-many-handshakes') {
    super(code === 'listener-full' ? 'too many connections are open' : 'too many handshakes are unfinished');
  }
}

interface Peer {
  readonly address: string;
  /** Sorted by age, the oldest first. */
  readonly handshakes: Set<Socket>;
}

/**
 * Bounds the connections of the process. Anyone who reaches the port can begin a handshake, so unfinished handshakes
 * have a share of their own. When the share is full, the address with the most of them loses one: the oldest that has
 * had no answer. The handshake of a caller proceeds at once, so it survives even at the same address.
 */
@Injectable()
export class ListenerBounds {
  private readonly peers = new Map<string, Peer>();
  private readonly unfinished = new Map<Socket, Peer>();
  private readonly established = new Set<Socket>();

  constructor(private readonly metrics: Metrics) {
    metrics.tlsConnectionsLimit.set({ state: 'handshake' }, MAX_HANDSHAKES);
    metrics.tlsConnectionsLimit.set({ state: 'established' }, MAX_ESTABLISHED);
    this.updateMetrics();
  }

  attachTo(server: Server): void {
    server.maxConnections = MAX_CONNECTIONS;
    // Without this option, a full worker hands a connection back to the primary, and full workers pass it around for
    // ever.
    Object.assign(server, { dropMaxConnection: true });
    server.on('drop', () => {
      this.metrics.tlsConnectionsRefused.inc({ reason: 'listener-full' });
    });
    server.on('connection', (socket: Socket) => {
      this.beginHandshake(socket);
    });
    server.on('secureConnection', (secure) => {
      const socket = (secure as unknown as { _parent: Socket })._parent;
      if (this.removeHandshake(socket)) this.established.add(socket);
      this.updateMetrics();
    });
  }

  /** The number of connections with a finished handshake. */
  get connections(): number {
    return this.established.size;
  }

  /** True while no further caller can connect. */
  get isFull(): boolean {
    return this.established.size >= MAX_ESTABLISHED;
  }

  private beginHandshake(socket: Socket): void {
    if (!this.isFull && this.unfinished.size >= MAX_HANDSHAKES) this.refuse(this.findVictim());
    const peer = this.addHandshake(socket);
    const timer = setTimeout(() => {
      const isStalled = this.unfinished.has(socket);
      if (isStalled && peer.handshakes.size > MAX_HANDSHAKES_PER_ADDRESS) this.refuse(socket);
    }, GRACE_MS).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      if (!this.removeHandshake(socket)) this.established.delete(socket);
      this.updateMetrics();
    });
    if (this.isFull) this.refuse(socket, 'listener-full');
    this.updateMetrics();
  }

  private refuse(socket: Socket, reason: ConnectionRefusedError['code'] = 'too-many-handshakes'): void {
    this.metrics.tlsConnectionsRefused.inc({ reason });
    this.removeHandshake(socket);
    socket.destroy(new ConnectionRefusedError(reason));
  }

  private findVictim(): Socket {
    const peers = [...this.peers.values()];
    const [...sockets] = peers.reduce((most, next) =>
      next.handshakes.size > most.handshakes.size ? next : most,
    ).handshakes;
    return sockets.find(({ bytesWritten }) => bytesWritten === 0) ?? sockets[0]!;
  }

  private addHandshake(socket: Socket): Peer {
    const address = socket.remoteAddress ?? '';
    const peer = this.peers.get(address) ?? { address, handshakes: new Set() };
    peer.handshakes.add(socket);
    this.peers.set(address, peer);
    this.unfinished.set(socket, peer);
    return peer;
  }

  /** @returns false if the handshake had finished or the socket is unknown */
  private removeHandshake(socket: Socket): boolean {
    const peer = this.unfinished.get(socket);
    if (!peer) return false;
    this.unfinished.delete(socket);
    peer.handshakes.delete(socket);
    if (peer.handshakes.size === 0) this.peers.delete(peer.address);
    return true;
  }

  private updateMetrics(): void {
    this.metrics.tlsConnections.set({ state: 'handshake' }, this.unfinished.size);
    this.metrics.tlsConnections.set({ state: 'established' }, this.established.size);
  }
}
