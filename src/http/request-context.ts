import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Span } from '@opentelemetry/api';
import type { FastifyRequest } from 'fastify';
import type { Svid } from '../x509/svid.js';

/*
 * This folder holds everything between the socket and a controller that does not depend on who calls. The list of what runs
 * when is app/request-pipeline.ts.
 *
 *  - Connections: exchanges.ts keeps requests and answers in order, connection-limits.ts sets their time limits, drain.ts ends
 *    them at the stop.
 *  - Head and body: request-head.ts, json-body.ts, strict-json.ts, query.guard.ts.
 *  - Members: validators.ts and request-class.ts declare them, validation.ts checks them, invalid-members.ts describes the wrong
 *    ones; id.param.ts and page.ts are for paths and lists.
 *  - Load: admission.ts decides which requests run, admission.guard.ts asks it, excess-answers.ts slows down callers that send
 *    too much.
 *  - Answers: problem.ts is the closed table of failures, problem.filter.ts renders them, database-unavailable.ts knows which
 *    errors pass, request-log.ts logs each answer, and request-spans.ts traces each request.
 *
 * This file holds what all of them know about a request.
 */

/** A service, identified by its client certificate. */
export interface Caller extends Svid {
  /** The fingerprint of the same certificate with the other signature that ECDSA accepts: see signature-twin.ts. */
  readonly twinFingerprint?: string | undefined;
}

/** What finds a certificate, and so its owner: at its authority, in an inventory, on the machine that holds it. */
export interface CertificateName {
  /** Lower-case hexadecimal SHA-256 of the DER. */
  readonly fingerprint: string;
  /** Lower-case hexadecimal. */
  readonly serial: string;
  /** At most 200 characters. */
  readonly subject: string;
}

/** The decision of the access policy on a request, and which policy decided. */
export interface AccessDecision {
  readonly outcome: 'allowed' | 'denied';
  /** A permission of the contract, or `any`. */
  readonly permission: string;
  /** Lower-case hexadecimal SHA-256 of the access policy. */
  readonly policyDigest: string;
  /** The epoch of the trust store: 1 at the start, one more after each reload. */
  readonly epoch: number;
}

/** The caller, its address and the request id, which every decision and every audit event needs. */
export interface RequestContext {
  readonly requestId: string;
  /**
   * The method and the pattern of the route, never the path itself: a caller must not write into the log through a
   * path.
   */
  readonly operation: string;
  readonly source: { readonly ip: string; readonly port: number };
  caller?: Caller;
  /** The certificate of a connection that is refused. CallerGuard sets it. */
  certificate?: CertificateName;
  /** The decision of the access policy. PermissionGuard sets it. */
  decision?: AccessDecision;
  /** The span of the request, if requests are traced. `traceRequests` sets it. */
  span?: Span | undefined;
  /** The epoch of the trust store in which the connection was last found trusted. CallerGuard sets it. */
  epoch?: number;
  /** Verifies the connection again during a long answer. CallerGuard sets it. */
  stillTrusted?: () => Promise<boolean>;
  /**
   * The identity whose request is refused because it sends too many; an empty string stands for those that no policy
   * names.
   */
  excessOf?: string;
  /** The receipt that the caller asks for, and whose audience the policy allows. Receipts sets it. */
  receipt?: { readonly audience: string; readonly kid: string };
  /** The relying parties for which the caller may act; null: all. PermissionGuard sets it. */
  relyingParties?: readonly string[] | null;
}

/** The property of a request that holds its context. A WeakMap would keep contexts alive beyond the scavenges of V8. */
const CONTEXT = Symbol('request context');

interface WithContext {
  [CONTEXT]?: RequestContext;
}

/** Returns the context of a request, and creates it at the first call. */
export function getContext(request: FastifyRequest): RequestContext {
  const { [CONTEXT]: known, socket } = request.raw as typeof request.raw & WithContext;
  if (known) return known;
  const { remoteAddress = '', remotePort = 0 } = socket;
  const context: RequestContext = {
    requestId: request.id,
    operation: `${request.method} ${request.routeOptions.url ?? '(no route)'}`,
    source: { ip: remoteAddress, port: remotePort },
  };
  (request.raw as WithContext)[CONTEXT] = context;
  return context;
}

/** A request context after both guards: the caller is known and has a grant. */
export type AuthorizedContext = RequestContext & Required<Pick<RequestContext, 'caller' | 'relyingParties'>>;

/** Injects the AuthorizedContext into a method of a controller. */
export const Context = createParamDecorator((_data: unknown, execution: ExecutionContext) =>
  getContext(execution.switchToHttp().getRequest<FastifyRequest>()),
);
