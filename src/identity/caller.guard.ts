import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refusals } from '../audit/refusals.js';
import { createMalformedProblem, Problem } from '../http/problem.js';
import { formatSubject } from './authorities.js';
import { Connections } from './connections.js';
import { ContinuousVerification } from './continuous-verification.js';
import { formatFingerprint } from './listener-trust.js';
import { type CertificateName, getContext, type RequestContext } from '../http/request-context.js';

/*
 * This folder identifies callers by mutual TLS. Certificates and files go in; a `Caller` in the request context comes out, or a
 * refusal.
 *
 *  - The trust material: trust-material.ts reads and validates the files with the help of server-credentials.ts,
 *    authorities.ts and select-lists.ts. trial-handshake.ts tries it with the certificates of trust-copy.ts before it is used.
 *    listener-trust.ts holds it, gives the listener each reload, and counts the epochs. tls-options.ts has the TLS
 *    settings.
 *  - The connection: listener-bounds.ts bounds handshakes, refused-handshakes.ts records the refused ones. connections.ts reads
 *    the SPIFFE ID of each connection, and peer-chain.ts the chain that the peer sent.
 *  - The request: continuous-verification.ts verifies the connection again, and this file answers 401 if it fails.
 */

/** Headers with which a proxy would vouch for a caller. We accept none: the connection is the identity. */
const FORWARDED_CERTIFICATES = ['x-forwarded-client-cert', 'client-cert', 'client-cert-chain'];

/**
 * Identifies the caller by the certificate of its connection and verifies it, or answers 401 and closes the connection.
 * It does so before the service reads anything of the request, and again in Nest's guards once the request has arrived,
 * which may take some time.
 */
@Injectable()
export class CallerGuard implements CanActivate {
  constructor(
    private readonly connections: Connections,
    private readonly verification: ContinuousVerification,
    private readonly refusals: Refusals,
  ) {}

  attachTo(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request, reply) => this.identify(request, reply));
  }

  async canActivate(execution: ExecutionContext): Promise<true> {
    const http = execution.switchToHttp();
    await this.identify(http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
    return true;
  }

  /** Sets the caller of the request. @throws Problem after the refusal is recorded or counted */
  async identify(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const context = getContext(request);
    const connection = this.connections.getOrCreate(request.raw.socket as TLSSocket);
    const standing = await this.verification.verify(connection);
    if (standing.caller) context.caller = standing.caller;
    context.epoch = connection.epoch;
    context.stillTrusted = async () => !('refusal' in (await this.verification.verify(connection)));
    if ('refusal' in standing || standing.last || connection.excess) void reply.header('connection', 'close');
    if ('refusal' in standing) {
      const certificate = nameCertificate(connection.chain[0]);
      if (certificate) context.certificate = certificate;
      return this.refuse(context, new Problem('caller-unidentified', { detail: standing.refusal }));
    }
    if (connection.excess) throw new Problem('rate-limited', { retryAfter: 1, detail: 'too many connections' });
    const forwarded = FORWARDED_CERTIFICATES.find((name) => name in request.headers);
    if (forwarded) {
      const detail = 'an identity is never taken from a header';
      return this.refuse(context, createMalformedProblem(detail, `/${forwarded}`));
    }
  }

  /** Passes `isNamed` as false, because the access policy has not been asked yet. */
  private refuse(context: RequestContext, problem: Problem): Promise<never> {
    return this.refusals.refuse(context, problem, false);
  }
}

function nameCertificate(certificate: X509Certificate | undefined): CertificateName | undefined {
  return (
    certificate && {
      fingerprint: formatFingerprint(certificate),
      serial: certificate.serialNumber.toLowerCase(),
      subject: formatSubject(certificate).slice(0, 200),
    }
  );
}
