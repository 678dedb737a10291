import type { TLSSocket } from 'node:tls';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AuditService } from '../audit/audit.service.js';
import { Problem, type ProblemSlug } from '../problems/problem.js';
import { Connections } from './connections.js';
import { ContinuousVerification } from './continuous-verification.js';
import { contextOf } from './request-context.js';

/** Headers by which a proxy would vouch for a caller. Nobody vouches here: the connection is the identity. */
const FORWARDED_CERTIFICATES = ['x-forwarded-client-cert', 'client-cert', 'client-cert-chain'];

/**
 * Identifies the caller by the certificate of its connection and verifies it again, or answers 401 and hangs up: before
 * anything of the request is read, and, as Nest's guards do, when it has been read, which may have taken its time.
 */
@Injectable()
export class CallerGuard implements CanActivate {
  constructor(
    private readonly connections: Connections,
    private readonly verification: ContinuousVerification,
    private readonly audit: AuditService,
  ) {}

  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request, reply) => this.identify(request, reply));
  }

  async canActivate(execution: ExecutionContext): Promise<true> {
    const http = execution.switchToHttp();
    await this.identify(http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
    return true;
  }

  /** @throws Problem, once the refusal is recorded */
  async identify(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const context = contextOf(request);
    const connection = this.connections.of(request.raw.socket as TLSSocket);
    const standing = await this.verification.verify(connection);
    if (standing.caller) context.caller = standing.caller;
    context.epoch = connection.epoch;
    context.stillTrusted = async () => !('refusal' in (await this.verification.verify(connection)));
    if ('refusal' in standing || standing.last || connection.excess) void reply.header('connection', 'close');
    if ('refusal' in standing) return this.refuse(request, 'caller-unidentified', standing.refusal);
    if (connection.excess) throw new Problem('rate-limited', { retryAfter: 1, detail: 'too many connections' });
    const forwarded = FORWARDED_CERTIFICATES.find((name) => name in request.headers);
    if (forwarded) {
      const detail = 'an identity is never taken from a header';
      return this.refuse(request, 'request-malformed', detail, { invalid: [{ pointer: `/${forwarded}`, detail }] });
    }
  }

  private async refuse(request: FastifyRequest, slug: ProblemSlug, detail: string, members?: object): Promise<never> {
    const entry = { type: 'access.denied', outcome: 'failure', reason: slug, detail } as const;
    await this.audit.record(contextOf(request), entry);
    throw new Problem(slug, members ?? { detail });
  }
}
