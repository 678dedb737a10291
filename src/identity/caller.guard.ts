import type { TLSSocket } from 'node:tls';
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { Problem } from '../problems/problem.js';
import { type Caller, contextOf } from './request-context.js';
import { parseSvid, SvidError } from './svid.js';
import { TRUST_DOMAIN } from './trust-domain.js';

/** Headers by which a proxy would vouch for a caller. Nobody vouches here: the connection is the identity. */
const FORWARDED_CERTIFICATES = ['x-forwarded-client-cert', 'client-cert', 'client-cert-chain'];

/** Identifies the caller by the certificate of its connection, or answers 401. */
@Injectable()
export class CallerGuard implements CanActivate {
  /** A connection's certificate is parsed once; every request after that reads the outcome. */
  private readonly identified = new WeakMap<TLSSocket, Caller | SvidError>();

  constructor(
    @Inject(TRUST_DOMAIN) private readonly trustDomain: string,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  async canActivate(execution: ExecutionContext): Promise<true> {
    const request = execution.switchToHttp().getRequest<FastifyRequest>();
    const context = contextOf(request);
    const caller = this.identify(request.raw.socket as TLSSocket);
    if (caller instanceof SvidError) return this.refuse(request, caller.message);
    context.caller = caller;
    const now = this.clock.now();
    if (now < caller.notBefore || now > caller.notAfter)
      return this.refuse(request, 'the certificate is not valid now');
    const forwarded = FORWARDED_CERTIFICATES.find((name) => name in request.headers);
    if (forwarded) {
      const detail = 'an identity is never taken from a header';
      await this.audit.record(context, {
        type: 'access.denied',
        outcome: 'failure',
        reason: 'request-malformed',
        detail,
      });
      throw new Problem('request-malformed', { invalid: [{ pointer: `/${forwarded}`, detail }] });
    }
    return true;
  }

  private identify(socket: TLSSocket): Caller | SvidError {
    let caller = this.identified.get(socket);
    if (!caller) {
      try {
        caller = parseSvid(socket.getPeerCertificate().raw, this.trustDomain);
      } catch (error) {
        caller = error instanceof SvidError ? error : new SvidError('the certificate cannot be parsed');
      }
      this.identified.set(socket, caller);
    }
    return caller;
  }

  private async refuse(request: FastifyRequest, detail: string): Promise<never> {
    await this.audit.record(contextOf(request), {
      type: 'access.denied',
      outcome: 'failure',
      reason: 'caller-unidentified',
      detail,
    });
    throw new Problem('caller-unidentified', { detail });
  }
}
