import type { X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { ListenerTrust } from './listener-trust.js';
import { readPeerChain } from './peer-chain.js';
import type { Caller } from '../http/request-context.js';
import { computeTwinFingerprint } from '../x509/signature-twin.js';
import { parseSvid, SvidError } from '../x509/svid.js';

/** The SPIFFE trust domain of the listener, from the access policy. */
export const TRUST_DOMAIN = Symbol('TrustDomain');

/** Returns true if the current access policy names the SPIFFE ID. */
export type NamedCallers = (spiffeId: string) => boolean;
export const NAMED_CALLERS = Symbol('NamedCallers');

/** A live connection. Its certificate is parsed once. What can change afterwards is verified at every request. */
export interface Connection {
  readonly caller: Caller | SvidError;
  readonly chain: readonly X509Certificate[];
  /** Unix time in milliseconds. */
  readonly beganAt: number;
  /** The time after which its next answer is its last (Unix time in milliseconds). */
  readonly endsAt: number;
  /** True if the caller has too many connections, and this is one of the excess. */
  readonly excess: boolean;
  /** The epoch of the trust store in which it was last found trusted. */
  epoch: number;
  /**
   * The time after which its path must be verified again (Unix time in milliseconds); 0: it has not been verified yet.
   */
  trustedUntil: number;
  /** It was found trusted in a newer epoch than its own, so its next answer is its last. */
  draining: boolean;
}

/**
 * A connection ends at an age between 80 % and 100 % of this, so that the connections of a fleet do not all return at
 * once.
 */
const MAX_AGE_MS = 15 * 60_000;
const JITTER = 0.2;
const MAX_CONNECTIONS_PER_IDENTITY = 1_000;
/**
 * The bound for all callers together that the access policy does not name, because the authority may certify many more
 * services.
 */
const MAX_CONNECTIONS_OF_STRANGERS = 100;
/**
 * Milliseconds in which an excess connection can send a request and learn that there are too many. Without this limit,
 * idle connections of one caller could fill the server.
 */
const EXCESS_MS = 1_000;
const MAX_REQUESTS_PER_CONNECTION = 100_000;
const MAX_HEADERS = 64;

@Injectable()
export class Connections {
  private readonly connections = new WeakMap<object, Connection>();
  /** The epoch in which the handshake of each TCP connection began. */
  private readonly begun = new WeakMap<object, number>();
  private readonly open = new Map<string, number>();

  constructor(
    @Inject(TRUST_DOMAIN) private readonly trustDomain: string,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly trust: ListenerTrust,
    @Inject(NAMED_CALLERS) private readonly isNamed: NamedCallers,
  ) {}

  /** Bounds the requests and headers of the server, and follows its connections. */
  attachTo(server: Server): void {
    server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    server.maxHeadersCount = MAX_HEADERS;
    server.on('connection', (socket) => this.begun.set(socket, this.trust.epoch));
    server.on('secureConnection', (socket) => {
      if (this.getOrCreate(socket).excess) setTimeout(() => socket.destroy(), EXCESS_MS).unref();
    });
  }

  getOrCreate(socket: TLSSocket): Connection {
    const known = this.connections.get(socket);
    if (known) return known;
    const { chain, caller } = this.identify(socket);
    const now = this.clock.now().getTime();
    const connection: Connection = {
      caller,
      chain,
      beganAt: now,
      endsAt: now + MAX_AGE_MS * (1 - JITTER * Math.random()),
      excess: this.isInExcess(socket, caller),
      epoch: this.begun.get((socket as unknown as { _parent?: object })._parent ?? socket) ?? 0,
      trustedUntil: 0,
      draining: false,
    };
    this.connections.set(socket, connection);
    return connection;
  }

  private identify(socket: TLSSocket): Pick<Connection, 'chain' | 'caller'> {
    let chain: X509Certificate[] = [];
    try {
      chain = readPeerChain(socket);
      const [certificate, issuer] = chain;
      if (!certificate) return { chain, caller: new SvidError('there is no certificate') };
      const caller = parseSvid(certificate.raw, this.trustDomain);
      return {
        chain,
        caller: Object.freeze({ ...caller, twinFingerprint: computeTwinFingerprint(certificate, issuer) }),
      };
    } catch (error) {
      return {
        chain,
        caller: error instanceof SvidError ? error : new SvidError('the certificate cannot be parsed'),
      };
    }
  }

  private isInExcess(socket: TLSSocket, caller: Caller | SvidError): boolean {
    if (caller instanceof SvidError || !this.isNamed(caller.spiffeId)) {
      return this.countConnection(socket, '') > MAX_CONNECTIONS_OF_STRANGERS;
    }
    return this.countConnection(socket, caller.spiffeId) > MAX_CONNECTIONS_PER_IDENTITY;
  }

  /** Counts a connection until it closes. @returns how many the identity has, including this one */
  private countConnection(socket: TLSSocket, identity: string): number {
    const open = (this.open.get(identity) ?? 0) + 1;
    this.open.set(identity, open);
    socket.once('close', () => {
      const left = (this.open.get(identity) ?? 1) - 1;
      if (left > 0) this.open.set(identity, left);
      else this.open.delete(identity);
    });
    return open;
  }
}
