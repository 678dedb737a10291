import { get as httpGet } from 'node:http';
import type { Socket } from 'node:net';
import { type Identity, keepOpen, openTcp, openTls, pause, type Tally, type Target, trickle } from './sockets.js';

/** The input of an attack, in the attacker's process. */
export interface AttackContext {
  readonly target: Target;
  readonly tally: Tally;
  readonly stopped: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** The time until the attack shows its effect. */
  readonly seconds: { readonly short: number; readonly full: number };
  /** The service closes some of its connections within the full time. */
  readonly isCut: boolean;
  readonly run: (context: AttackContext) => Promise<void>;
}

const HEAD = 'GET /v1/relying-parties HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n';
const BODY_HEAD =
  'POST /v1/challenges/authentication HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n';
const REQUEST = `${HEAD}\r\n`;
/** A request that its caller may not make. */
const DENIED = 'GET /v1/audit/events HTTP/1.1\r\nhost: localhost\r\n\r\n';
const TRICKLE_MS = 300;
/** Handshakes a second. They attack the service's patience, not the processor: each costs some milliseconds. */
const HANDSHAKES = 60;
/** The policy names the caller of one half, and no policy names the caller of the other half. */
const EITHER: readonly Identity[] = ['stranger', 'operator'];
const either = (number: number): Identity => EITHER[number % 2]!;

/** Half of the connections send nothing, the others send a part of a TLS record. */
const SILENT: Attack = {
  name: 'silent connections',
  seconds: { short: 13, full: 25 },
  isCut: true,
  run: (context) =>
    keepOpen(
      { sockets: 4_200, perSecond: 1_000 },
      (number) => {
        const socket = openTcp(context.target.port, number).resume();
        if (number % 2 === 0) socket.once('connect', () => socket.write(Buffer.from([0x16, 0x03, 0x01])));
        return socket;
      },
      context,
    ),
};

const REFUSED_HANDSHAKES: Attack = {
  name: 'handshakes without a certificate',
  seconds: { short: 5, full: 20 },
  isCut: true,
  run: (context) =>
    keepOpen({ sockets: 50, perSecond: HANDSHAKES }, (number) => openTls(context.target, number).resume(), context),
};

/** Half of the connections send a part and stop, the others go on byte by byte and never end. */
const begin = (part: string, rest: string): Attack['run'] => {
  return (context) =>
    keepOpen(
      { sockets: 600, perSecond: HANDSHAKES },
      (number) => {
        const socket = openTls(context.target, number, either(number));
        socket.resume().once('secureConnect', () => {
          socket.write(part);
          if (number % 4 < 2) trickle(socket, rest, TRICKLE_MS);
        });
        return socket;
      },
      context,
    );
};

const HEADS: Attack = {
  name: 'heads that stall or trickle',
  seconds: { short: 8, full: 30 },
  isCut: true,
  run: begin(HEAD, `x-head: ${'a'.repeat(10_000)}`),
};
const BODIES: Attack = {
  name: 'bodies that stall or trickle',
  seconds: { short: 8, full: 30 },
  isCut: true,
  run: begin(`${BODY_HEAD}{"rpId":`, ' '.repeat(10_000)),
};

const PIPELINES: Attack = {
  name: 'pipelined requests',
  seconds: { short: 5, full: 20 },
  isCut: false,
  run: (context) =>
    keepOpen(
      { sockets: 8, perSecond: 20 },
      (number) => {
        const socket = openTls(context.target, number, either(number));
        const send = (): void => {
          if (!socket.destroyed && socket.write(REQUEST.repeat(100))) setTimeout(send, 50);
          else socket.once('drain', send);
        };
        return socket.resume().once('secureConnect', send);
      },
      context,
    ),
};

const RESETS: Attack = {
  name: 'pipelined requests and resets',
  seconds: { short: 5, full: 20 },
  isCut: false,
  run: (context) =>
    keepOpen(
      { sockets: 40, perSecond: HANDSHAKES },
      (number) => {
        const socket = openTls(context.target, number, either(number));
        return socket.once('secureConnect', () => {
          socket.write(REQUEST.repeat(200), () => setTimeout(reset, 20, socket));
        });
      },
      context,
    ),
};

function reset(socket: Socket): void {
  const { _parent: tcp } = socket as { _parent?: Socket };
  (tcp ?? socket).resetAndDestroy();
  socket.destroy();
}

/** Sends one request after the other on each connection, as fast as the service answers. */
const DENIALS: Attack = {
  name: 'requests that are denied',
  seconds: { short: 5, full: 20 },
  isCut: false,
  run: (context) =>
    keepOpen(
      { sockets: 8, perSecond: 20 },
      (number) => {
        const socket = openTls(context.target, number, either(number));
        const ask = (): void => {
          context.tally.count('requests');
          socket.write(DENIED);
        };
        // An answer is one or two chunks. One request for each chunk is a little more than one after the other.
        return socket.once('secureConnect', ask).on('data', () => setTimeout(ask, 5));
      },
      context,
    ),
};

const EXPORTS: Attack = {
  name: 'exports that nobody reads',
  seconds: { short: 6, full: 45 },
  isCut: true,
  run: (context) =>
    keepOpen(
      { sockets: 300, perSecond: HANDSHAKES },
      (number) => {
        const socket = openTls(context.target, number, 'auditor').pause();
        return socket.once('secureConnect', () => {
          socket.write('GET /v1/audit/export HTTP/1.1\r\nhost: localhost\r\n\r\n');
          // A socket that reads nothing notices its end only when it writes.
          trickle(socket, '\r\n'.repeat(100), 5_000);
        });
      },
      context,
    ),
};

/** Sends 150 probes at a time, beside silent connections to the management listener. */
const PROBES: Attack = {
  name: 'readiness probes',
  seconds: { short: 5, full: 20 },
  isCut: true,
  run: async (context) => {
    const silent = keepOpen(
      { sockets: 200, perSecond: 200 },
      (number) => openTcp(context.target.managementPort, number).resume(),
      context,
    );
    while (!context.stopped.aborted) {
      await Promise.all(Array.from({ length: 150 }, () => probe(context)));
      await pause(20, context.stopped);
    }
    await silent;
  },
};

function probe({ target, tally, stopped }: AttackContext): Promise<void> {
  return new Promise((resolve) => {
    const url = `http://127.0.0.1:${String(target.managementPort)}/health/ready`;
    const request = httpGet(url, { agent: false, signal: stopped }, (response) => {
      tally.count(`probes answered ${String(response.statusCode)}`);
      response.resume().once('close', resolve);
    });
    request.once('error', () => {
      resolve();
    });
  });
}

export const ATTACKS: readonly Attack[] = [
  ...[SILENT, REFUSED_HANDSHAKES, HEADS, BODIES, PIPELINES, RESETS, DENIALS, EXPORTS, PROBES],
];
