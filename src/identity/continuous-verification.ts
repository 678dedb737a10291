import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Connection } from './connections.js';
import { ListenerTrust } from './listener-trust.js';
import { verifyPeer, verifyRevocation } from './peer-chain.js';
import type { Caller } from './request-context.js';
import { SvidError } from './svid.js';

export type Standing =
  /** `last`: the caller is welcome, its connection is not to be used again. */
  { readonly caller: Caller; readonly last: boolean } | { readonly refusal: string; readonly caller?: Caller };

/**
 * What is asked of a connection at every request, because it may have changed since the handshake: is the certificate
 * valid now, has a certificate or a revocation list of its path ended, and has the trust material changed? If one has,
 * the path is verified again by what is in force now. A caller that is still welcome gets its answer, and its client
 * then a new connection.
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
    if (connection.epoch !== epoch || now.getTime() > connection.trustedUntil) {
      const isFresh = connection.epoch === epoch && connection.trustedUntil === 0;
      const verdict = await (isFresh ? verifyRevocation : verifyPeer)(chain, material, now);
      if ('flaw' in verdict) return { caller, refusal: verdict.flaw };
      connection.draining ||= connection.epoch !== epoch;
      connection.epoch = epoch;
      connection.trustedUntil = verdict.until.getTime();
    }
    return { caller, last: connection.draining || this.isOver(connection, now.getTime()) };
  }

  /** A connection whose age the clock cannot tell, because it went back, is over as well. */
  private isOver({ beganAt, endsAt }: Connection, now: number): boolean {
    return now >= endsAt || now < beganAt;
  }
}
