import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../../test/support/client.js';

export type Identity = 'auditor' | 'operator' | 'stranger';

/** The service as its attackers know it. */
export interface Target {
  readonly port: number;
  readonly managementPort: number;
  readonly ca: string;
  readonly certificates: Readonly<Record<Identity, ClientCertificate>>;
}

export type Counts = Readonly<Record<string, number>>;

export const [CONNECTED, CLOSED] = ['connected', 'closed by the service'] as const;

/** Counts the actions of an attack and the service's reactions. */
export class Tally {
  readonly counts: Record<string, number> = {};

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

const HOST = '127.0.0.1';
const ADDRESSES = 200;
const TICK_MS = 100;

/** Spreads connections over loopback addresses: the limits of one address must not be the only defence. */
function addressOf(number: number): string {
  return `127.0.0.${String(2 + (number % ADDRESSES))}`;
}

export function openTcp(port: number, number: number): Socket {
  return connectTcp({ host: HOST, port, localAddress: addressOf(number) });
}

/** @param identity without it, the connection has no certificate */
export function openTls({ port, ca, certificates }: Target, number: number, identity?: Identity): TLSSocket {
  const certificate = identity === undefined ? {} : certificates[identity];
  const socket = openTcp(port, number).setNoDelay();
  return connectTls({ socket, host: HOST, ca, ALPNProtocols: ['http/1.1'], ...certificate });
}

/** Keeps the given number of sockets open until it is stopped, and reopens closed ones at the given rate. */
export async function keepOpen(
  { sockets, perSecond }: { readonly sockets: number; readonly perSecond: number },
  open: (number: number) => Socket,
  { tally, stopped }: { readonly tally: Tally; readonly stopped: AbortSignal },
): Promise<void> {
  const living = new Set<Socket>();
  let opened = 0;
  while (!stopped.aborted) {
    const room = Math.min(sockets - living.size, Math.ceil((perSecond * TICK_MS) / 1_000));
    for (let n = 0; n < room; n += 1) {
      const socket = open(opened);
      opened += 1;
      living.add(socket);
      socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
        tally.count(CONNECTED);
      });
      socket.on('error', () => undefined);
      socket.once('close', () => {
        living.delete(socket);
        if (!stopped.aborted) tally.count(CLOSED);
      });
    }
    await pause(TICK_MS, stopped);
  }
  for (const socket of living) socket.destroy();
}

/** Writes a text byte by byte. */
export function trickle(socket: Socket, text: string, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at < text.length) socket.write(text[at]!);
    at += 1;
  }, everyMs);
  socket.once('close', () => {
    clearInterval(timer);
  });
}

export async function pause(ms: number, stopped: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stopped }).catch(() => undefined);
}
