import type { X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import { isIP } from 'node:net';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { PermissionGuard } from '../access/permission.guard.js';
import type { WatchedSettings } from '../app.module.js';
import { Refusals } from '../audit/refusals.js';
import { type Clock, CLOCK } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import { orderExchanges } from '../http/exchanges.js';
import { refuseAmbiguousHeads, refuseBadEncoding, refuseForeignTargets, requireHost } from '../http/request-head.js';
import { acceptJsonBodies } from '../http/json-body.js';
import { QueryGuard } from '../http/query.guard.js';
import { cutStalledConnections, setRequestTimeouts } from '../http/connection-limits.js';
import { createValidationPipe } from '../http/validation.js';
import { drainOnClose } from '../http/drain.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { Connections } from '../identity/connections.js';
import { ListenerBounds } from '../identity/listener-bounds.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { recordRefusedHandshakes } from '../identity/refused-handshakes.js';
import type { ProblemFilter } from '../http/problem.filter.js';
import { AdmissionGuard } from '../http/admission.guard.js';
import { Admission, computeAdmissionBounds } from '../http/admission.js';
import { Metrics } from '../telemetry/metrics.js';
import { delayExcessAnswers } from '../http/excess-answers.js';
import { logRequests } from '../http/request-log.js';

interface Pipeline extends Pick<WatchedSettings, 'trust'> {
  readonly pino: Logger;
  readonly problems: ProblemFilter;
}

/**
 * Installs everything that stands between the socket and a controller. This list is the only place that registers
 * sockets' listeners, hooks, guards, pipes and filters. Within one stage they run in the order of the list.
 */
export function installRequestPipeline(app: NestFastifyApplication, { trust, pino, problems }: Pipeline): void {
  const fastify = app.getHttpAdapter().getInstance();
  const server = app.getHttpServer() as unknown as Server;

  // The socket, before there is a request. Exchanges come first: they keep the answers of a connection in order.
  orderExchanges(fastify);
  setRequestTimeouts(server);
  app.get(ListenerBounds).attachTo(server);
  app.get(Connections).attachTo(server);
  app.get(ListenerTrust).attachTo(server);
  recordRefusedHandshakes(server, app.get(Refusals), app.get(Metrics));
  cutStalledConnections(server, app.get<Clock>(CLOCK));

  // onRequest: the head has arrived, the body has not. CallerGuard is first, so a stranger learns nothing but 401.
  app.get(CallerGuard).attachTo(fastify);
  requireHost(fastify);
  refuseAmbiguousHeads(fastify);
  refuseForeignTargets(fastify, (name) => isNamed(name, trust.value.certificate));
  refuseBadEncoding(fastify);

  // The body: strict JSON.
  acceptJsonBodies(fastify);

  // Guards: who calls (again, because reading may have taken long), what the caller may do, a query that the route
  // takes. Admission is last: it holds a place from here to the answer, and only for a request that may run.
  const { callerShare, workers } = app.get<Config>(CONFIG);
  const admission = new AdmissionGuard(new Admission(app.get(Metrics), computeAdmissionBounds(callerShare, workers)));
  app.useGlobalGuards(app.get(CallerGuard), app.get(PermissionGuard), new QueryGuard(), admission);

  // Pipe: the members of the body and the query. Filter: every failure becomes a problem.
  app.useGlobalPipes(createValidationPipe());
  app.useGlobalFilters(problems);

  // onSend and onResponse: the answer. Admission frees its place before an answer that says "too much" is delayed.
  logRequests(fastify, pino, app.get(Metrics));
  drainOnClose(fastify);
  admission.registerHook(fastify);
  delayExcessAnswers(fastify);

  // onClose: no request runs any more, so the counts of refusals are whole.
  fastify.addHook('onClose', () => app.get(Refusals).stop());
}

function isNamed(name: string, certificate: X509Certificate): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}
