import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Connection } from './connections.js';
import { ListenerTrust } from './listener-trust.js';
import { flawOfPeer, revocationEnd } from './peer-chain.js';
import type { Caller } from './request-context.js';
import { SvidError } from './svid.js';

export type Standing =
  /** `last`: the caller is welcome, its connection is not to be used again. */
  { readonly caller: Caller; readonly last: boolean } | { readonly refusal: string; readonly caller?: Caller };

/**
 * What is asked of a connection at every request, because it may have changed since the handshake: is the certificate
 * valid now, is its issuer's revocation list, and has the trust material changed? If it has, the certificate is verified
 * again by what is in force now. A caller that is still welcome gets its answer, and its client then a new connection.
 */
@Injectable()
export class ContinuousVerification {
  constructor(
    private readonly trust: ListenerTrust,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async verify(connection: Connection): Promise<Standing> {
    const { caller, chain } = connection;
    if (caller instanceof SvidError) return { refusal: caller.message };
    const now = this.clock.now();
    if (now < caller.notBefore || now > caller.notAfter) return { caller, refusal: 'the certificate is not valid now' };
    const { epoch, material } = this.trust;
    if (connection.epoch !== epoch) {
      const refusal = await flawOfPeer(chain, material, now);
      if (refusal !== undefined) return { caller, refusal };
      connection.epoch = epoch;
      connection.draining = true;
    }
    const end = this.revocationEndOf(connection);
    if (!end || now > end) return { caller, refusal: 'the revocation list has ended' };
    return { caller, last: connection.draining || now.getTime() >= connection.endsAt };
  }

  /** Looked up once for each connection and epoch. */
  private readonly ends = new WeakMap<Connection, { readonly epoch: number; readonly end: Date | undefined }>();

  private revocationEndOf(connection: Connection): Date | undefined {
    let known = this.ends.get(connection);
    if (known?.epoch !== connection.epoch) {
      known = { epoch: connection.epoch, end: revocationEnd(connection.chain[0]!, this.trust.material) };
      this.ends.set(connection, known);
    }
    return known.end;
  }
}
