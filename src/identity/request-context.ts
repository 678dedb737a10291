import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** A service that a client certificate identified. */
export interface Caller {
  readonly spiffeId: string;
  /** SHA-256 of the certificate's DER, lower-case hexadecimal. */
  readonly fingerprint: string;
  /** The fingerprint of the same certificate with the other signature that ECDSA accepts: see signature-twin.ts. */
  readonly twinFingerprint?: string | undefined;
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), lower-case hexadecimal. */
  readonly publicKey: string;
  /** Hexadecimal, lower case. */
  readonly serialNumber: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Who issued the certificate: its authority key identifier, hexadecimal; a digest of the issuer's name without one. */
  readonly authority: string;
}

/** What the access policy said to a request, and which policy that was. */
export interface AccessDecision {
  readonly outcome: 'allowed' | 'denied';
  /** A permission of the contract, or `any`. */
  readonly permission: string;
  /** SHA-256 of the access policy, hexadecimal. */
  readonly policyDigest: string;
  /** Of the identity: counts the reloads of the trust material since the start. */
  readonly epoch: number;
}

/** Who asks, from where and under which request id: what every decision and every audit event needs to know. */
export interface RequestContext {
  readonly requestId: string;
  /** The method and the route, never what stands in its place: nobody writes into the log by a path. */
  readonly operation: string;
  readonly source: { readonly ip: string; readonly port: number };
  caller?: Caller;
  /** Set by PermissionGuard. */
  decision?: AccessDecision;
  /** The identity epoch under which the connection was last found trusted. Set by CallerGuard. */
  epoch?: number;
  /** Verifies the connection again, while an answer takes long. Set by CallerGuard. */
  stillTrusted?: () => Promise<boolean>;
  /** The identity whose request is refused because it sends too much; '': one that no policy names. */
  excessOf?: string;
  /** The relying parties that the caller may act for; null: all. Set by PermissionGuard. */
  relyingParties?: readonly string[] | null;
}

/** Where a request carries its context. In a WeakMap, a context and what it refers to would outlive the scavenges of V8. */
const CONTEXT = Symbol('request context');

interface WithContext {
  [CONTEXT]?: RequestContext;
}

/** The context of a request, made when it is first asked for. */
export function contextOf(request: FastifyRequest): RequestContext {
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

/** A request context behind both guards: the caller is known and its grant is in force. */
export type AuthorizedContext = RequestContext & Required<Pick<RequestContext, 'caller' | 'relyingParties'>>;

/** Injects the AuthorizedContext into a controller's method. */
export const Context = createParamDecorator((_data: unknown, execution: ExecutionContext) =>
  contextOf(execution.switchToHttp().getRequest<FastifyRequest>()),
);
