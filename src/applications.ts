import type { X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { PolicyInForce } from './access/policy-in-force.js';
import type { WatchedSettings } from './app.module.js';
import { AuditService } from './audit/audit.service.js';
import { LogKeeper } from './audit/log-keeper.js';
import { Refusals } from './audit/refusals.js';
import { AttestationRoots } from './authenticators/attestation-roots.js';
import { MetadataFile } from './authenticators/metadata-file.js';
import { type Clock, CLOCK } from './config/clock.js';
import { CONFIG, type Config, ConfigError, type Listener } from './config/config.js';
import { nameRequest, refuseConnection, watchExchanges } from './contract/exchanges.js';
import { demandHost } from './contract/host.js';
import { acceptJsonBodies, BODY_LIMIT_BYTES } from './contract/json-body.js';
import { QueryGuard } from './contract/query.guard.js';
import { refuseOddHeads } from './contract/request-head.js';
import { refuseBadEncoding, refuseForeignTargets } from './contract/request-target.js';
import { limitRequestTimes } from './contract/request-timeouts.js';
import { strictValidation } from './contract/validation.js';
import { BindingKeyCheck } from './credentials/binding-key-check.js';
import { drainOnClose } from './drain.js';
import { ManagementModule } from './health/management.module.js';
import { keepNewestConnections } from './health/newest-connections.js';
import { CallerGuard } from './identity/caller.guard.js';
import { Connections } from './identity/connections.js';
import { ListenerBounds } from './identity/listener-bounds.js';
import { ListenerTrust } from './identity/listener-trust.js';
import { watchHandshakes } from './identity/refused-handshakes.js';
import { tlsOptions } from './identity/tls-options.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { describeUnparsable } from './problems/unparsable-request.js';
import { AdmissionGuard } from './telemetry/admission.guard.js';
import { Admission, admissionBounds } from './telemetry/admission.js';
import { Metrics } from './telemetry/metrics.js';
import { holdExcess } from './telemetry/pace.js';
import { PinoLogger } from './telemetry/pino-logger.js';
import { logRequests } from './telemetry/request-log.js';
import { cutUnread } from './unread-answers.js';

/** Creates the application that serves callers over mutual TLS (docs/adr/0006-two-listeners.md). */
export async function createApp(
  module: DynamicModule,
  { trust }: WatchedSettings,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const problems = new ProblemFilter();
  /** Answers what Fastify refuses before its hooks run: an unreadable path or a parameter that is too long. */
  const refuse = (error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    const answer = (reason: unknown): void => {
      problems.render(reason, request, reply);
    };
    app.get(CallerGuard).identify(request, reply).then(() => { answer(error) }, answer); // prettier-ignore
  };
  const adapter = new FastifyAdapter({
    https: tlsOptions(trust.value.context),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: nameRequest,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 3_100 },
    clientErrorHandler: (error, socket) => {
      refuseConnection(socket, describeUnparsable(error));
    },
    frameworkErrors: refuse,
  });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    bodyParser: false,
    abortOnError: false,
  });
  const fastify = adapter.getInstance();
  app.get(CallerGuard).guard(fastify);
  acceptJsonBodies(fastify);
  logRequests(fastify, pino, app.get(Metrics));
  demandHost(fastify);
  refuseOddHeads(fastify);
  refuseForeignTargets(fastify, (name) => isNamed(name, trust.value.certificate));
  refuseBadEncoding(fastify);
  watchExchanges(fastify);
  drainOnClose(fastify);
  const { callerShare, workers } = app.get<Config>(CONFIG);
  const admission = new AdmissionGuard(new Admission(app.get(Metrics), admissionBounds(callerShare, workers)));
  admission.serve(fastify);
  holdExcess(fastify);
  app.useGlobalGuards(new QueryGuard(), admission);
  app.useGlobalPipes(strictValidation());
  app.useGlobalFilters(problems);
  const server: Server = adapter.getHttpServer();
  limitRequestTimes(server);
  app.get(ListenerBounds).serve(server);
  app.get(Connections).serve(server);
  app.get(ListenerTrust).serve(server);
  cutUnread(server, app.get<Clock>(CLOCK));
  watchHandshakes(server, app.get(Refusals), app.get(Metrics));
  fastify.addHook('onClose', () => app.get(Refusals).end());
  await app.init();
  await fastify.ready();
  return app;
}

function isNamed(name: string, certificate: X509Certificate): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** Creates the application for operators, which reports on the application for callers. */
export function createManagement(
  app: NestFastifyApplication,
  clock: Clock,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const [metadata, roots] = [app.get(MetadataFile), app.get(AttestationRoots)];
  const log = app.get(LogKeeper);
  const bindingKey = app.get(BindingKeyCheck);
  const identity = {
    trust: app.get(ListenerTrust),
    access: app.get(PolicyInForce),
    bounds: app.get(ListenerBounds),
  };
  const service = {
    config: app.get<Config>(CONFIG),
    audit: app.get(AuditService),
    metrics: app.get(Metrics),
    clock,
    authenticatorFiles: { metadata: () => metadata.state(), attestationRoots: () => roots.state() },
    identity: () => identity,
    bindingKey: () => bindingKey.sample,
    auditLog: () => (log.keeps ? log.state() : undefined),
  };
  return createOperators(ManagementModule.over(service), pino);
}

/** Far more than the number of simultaneous probes. */
const MAX_MANAGEMENT_CONNECTIONS = 512;

/**
 * Creates an application for operators. Nest has one logger per process, so a second application must be given the same
 * one.
 */
export async function createOperators(module: DynamicModule, pino: Logger): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    abortOnError: false,
  });
  const server = app.getHttpServer();
  limitRequestTimes(server);
  keepNewestConnections(server, MAX_MANAGEMENT_CONNECTIONS);
  return app;
}

/**
 * Starts to listen.
 *
 * @returns the URL
 * @throws ConfigError when the address is not available
 */
export async function listen(app: NestFastifyApplication, { host, port }: Listener, scheme: string): Promise<string> {
  await app.listen(port, host).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    const setting = scheme === 'https' ? 'PASSKEY_HTTPS' : 'PASSKEY_MANAGEMENT';
    throw code === undefined ? error : new ConfigError([`${setting}_HOST, _PORT: ${message}`]);
  });
  const address = app.getHttpServer().address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${shown}:${String(address.port)}`;
}
