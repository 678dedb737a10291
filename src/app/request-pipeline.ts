import type { X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import { isIP } from 'node:net';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { PermissionGuard } from '../access/permission.guard.js';
import type { WatchedSettings } from '../app.module.js';
import { Refusals } from '../audit/refusals.js';
import { ChallengeCounts } from '../challenges/challenge-counts.js';
import { type Clock, CLOCK } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import {
  assignRequestId,
  orderExchanges,
  isTimeout,
  refuseConnection,
  toUnparsableProblem,
} from '../http/exchanges.js';
import { refuseAmbiguousHeads, refuseBadEncoding, refuseForeignTargets, requireHost } from '../http/request-head.js';
import { acceptJsonBodies, BODY_LIMIT_BYTES } from '../http/json-body.js';
import { acceptLineBodies, isStreaming } from '../http/line-body.js';
import { QueryGuard } from '../http/query.guard.js';
import { cutStalledConnections, setRequestTimeouts } from '../http/connection-limits.js';
import { createValidationPipe } from '../http/validation.js';
import { DRAINING, drainOnClose } from '../http/drain.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { Connections } from '../identity/connections.js';
import { ListenerBounds } from '../identity/listener-bounds.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { SealRegister } from '../seals/seal-register.js';
import { SealKeyGuard } from './seal-key.guard.js';
import { createTlsOptions } from '../identity/tls-options.js';
import { recordRefusedHandshakes } from '../identity/refused-handshakes.js';
import type { ProblemFilter } from '../http/problem.filter.js';
import { AdmissionGuard } from '../http/admission.guard.js';
import { Admission, computeAdmissionBounds } from '../http/admission.js';
import { Metrics } from '../telemetry/metrics.js';
import { delayExcessAnswers } from '../http/excess-answers.js';
import { logRequests } from '../http/request-log.js';
import { traceRequests } from '../http/request-spans.js';

/*
 * Everything that stands between the socket and a controller of the service. Whatever a caller sends passes, in this order:
 *
 *  1. the options of the adapter: TLS, the limits of the HTTP parser, and the answer to what it cannot read;
 *  2. listeners of the server, which follow each connection;
 *  3. hooks onRequest, on the head of the request; the first one identifies the caller;
 *  4. the parser of the body, and then the hook preHandler, which begins no work for a closed connection;
 *  5. guards: the caller again, the keys of the service, the caller's permission, the query, admission;
 *  6. the pipe, which validates members;
 *  7. the controller; the filter turns every failure into a problem;
 *  8. hooks onSend and onResponse, on the answer.
 *
 * Nothing else registers listeners, hooks, guards, pipes or filters. Within one stage they run in the order in which they
 * stand here.
 */

/** @param identify sets the caller of a request, or refuses it */
export function createAdapter(
  { trust }: Pick<WatchedSettings, 'trust'>,
  problems: ProblemFilter,
  identify: (request: FastifyRequest, reply: FastifyReply) => Promise<void>,
): FastifyAdapter {
  return new FastifyAdapter({
    https: createTlsOptions(trust.value.context),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: assignRequestId,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    ...DRAINING,
    routerOptions: { maxParamLength: 3_100 },
    // Answers bytes that are not a request, and a request that arrives too late.
    clientErrorHandler: (error, socket) => {
      if (isTimeout(error) && isStreaming(socket)) return;
      refuseConnection(socket, toUnparsableProblem(error));
    },
    // Answers what Fastify refuses before its hooks run: an unreadable path, or a parameter that is too long.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const answer = (reason: unknown): void => {
        problems.render(reason, request, reply);
      };
      identify(request, reply).then(() => {
        answer(error);
      }, answer);
    },
  });
}

interface Pipeline extends Pick<WatchedSettings, 'trust'> {
  readonly pino: Logger;
  readonly problems: ProblemFilter;
}

/** Installs all stages after the adapter's options. It must run before the application is initialized. */
export function installRequestPipeline(app: NestFastifyApplication, { trust, pino, problems }: Pipeline): void {
  const fastify = app.getHttpAdapter().getInstance();
  const server = app.getHttpServer() as unknown as Server;

  // The server's listeners, before there is a request. Exchanges come first: they keep the answers of a connection in order.
  orderExchanges(fastify);
  setRequestTimeouts(server);
  app.get(ListenerBounds).attachTo(server);
  app.get(Connections).attachTo(server);
  app.get(ListenerTrust).attachTo(server);
  recordRefusedHandshakes(server, app.get(Refusals), app.get(Metrics));
  cutStalledConnections(server, app.get<Clock>(CLOCK));

  // onRequest: the head has arrived, the body has not. CallerGuard is first, so a stranger learns nothing but 401
  // and leaves no trace.
  app.get(CallerGuard).attachTo(fastify);
  traceRequests(fastify);
  requireHost(fastify);
  refuseAmbiguousHeads(fastify);
  refuseForeignTargets(fastify, (name) => isNamed(name, trust.value.certificate));
  refuseBadEncoding(fastify);

  // The body must be strict JSON, or lines of it where a route takes them.
  acceptJsonBodies(fastify);
  acceptLineBodies(fastify);

  // Guards. CallerGuard verifies the connection again, because the body may have taken long to arrive. SealKeyGuard lets
  // nothing through that could be sealed with a key that ends. PermissionGuard checks the permission, and QueryGuard refuses
  // parameters that the route does not take. Admission is last, so only a request that may run takes a place, which it keeps
  // until it is answered.
  const { callerShare, workers } = app.get<Config>(CONFIG);
  const admission = new AdmissionGuard(new Admission(app.get(Metrics), computeAdmissionBounds(callerShare, workers)));
  const sealKeys = new SealKeyGuard(app.get(SealRegister));
  app.useGlobalGuards(app.get(CallerGuard), sealKeys, app.get(PermissionGuard), new QueryGuard(), admission);

  // The pipe validates the body, the query and the path. The filter turns every failure into a problem.
  app.useGlobalPipes(createValidationPipe());
  app.useGlobalFilters(problems);

  // onSend and onResponse: the answer. Admission frees its place before an answer that says "too much" is delayed, so that
  // a delay never keeps another request waiting.
  logRequests(fastify, pino, app.get(Metrics));
  drainOnClose(fastify);
  admission.registerHook(fastify);
  delayExcessAnswers(fastify);

  // onClose: no request runs any more, so the counts of refusals and challenges are complete.
  fastify.addHook('onClose', () => app.get(Refusals).stop());
  fastify.addHook('onClose', () => app.get(ChallengeCounts).stop());
}

function isNamed(name: string, certificate: X509Certificate): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}
