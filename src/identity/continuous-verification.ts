import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import type { Connection } from './connections.js';
import { ListenerTrust } from './listener-trust.js';
import { verifyPeer, verifyRevocation } from './peer-chain.js';
import type { Caller } from '../http/request-context.js';
import { SvidError } from '../x509/svid.js';

export type Standing =
  /** `last`: the caller is trusted, but this answer is the last on its connection. */
  { readonly caller: Caller; readonly last: boolean } | { readonly refusal: string; readonly caller?: Caller };

/**
 * Verifies a connection at every request, because its trust may have changed since the handshake. Is the certificate
 * valid now? Has a certificate or a revocation list in its path ended? Has the trust store changed? If the answer to
 * either of the last two is yes, the whole path is verified again with the current trust store. A caller that is still
 * trusted gets its answer, and then its client opens a new connection.
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

  /** A connection also ends if the clock went back before its beginning, because then its age is unknown. */
  private isOver({ beganAt, endsAt }: Connection, now: number): boolean {
    return now >= endsAt || now < beganAt;
  }
}
