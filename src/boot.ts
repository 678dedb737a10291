import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { DataSource } from 'typeorm';
import { PolicyInForce, watchedPolicy } from './access/policy-in-force.js';
import { AppModule, type WatchedSettings } from './app.module.js';
import { AuditService } from './audit/audit.service.js';
import { LogKeeper } from './audit/log-keeper.js';
import { recordMigrations } from './audit/record-migrations.js';
import { MetadataFile } from './authenticators/metadata-file.js';
import { type Clock, systemClock } from './config/clock.js';
import { type Config, ConfigError, type Listener } from './config/config.js';
import { acceptJsonBodies, BODY_LIMIT_BYTES } from './contract/json-body.js';
import { refuseBadEncoding } from './contract/request-target.js';
import { strictValidation } from './contract/validation.js';
import { WatchedFiles } from './config/watched-files.js';
import { openDatabase } from './database/open-database.js';
import { drainOnClose } from './drain.js';
import { ManagementModule } from './health/management.module.js';
import { Connections } from './identity/connections.js';
import { factsOf, ListenerTrust } from './identity/listener-trust.js';
import { watchHandshakes } from './identity/refused-handshakes.js';
import { tlsOptions } from './identity/tls-options.js';
import { readTrustMaterial, trustFiles, type TrustMaterial } from './identity/trust-material.js';
import { TrustMaterialError } from './identity/trust-material-error.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { answerUnparsable } from './problems/unparsable-request.js';
import { Metrics } from './telemetry/metrics.js';
import { createLogger, PinoLogger } from './telemetry/pino-logger.js';
import { logRequests } from './telemetry/request-log.js';
import { FIDO_METADATA_ROOTS } from './webauthn/well-known-roots.js';

export interface RunningService {
  readonly app: NestFastifyApplication;
  readonly httpsUrl: string;
  readonly managementUrl: string;
  /** Answers what was asked, records the stop, closes both listeners, the pool and the embedded database. */
  stop(): Promise<void>;
}

/**
 * Starts the service whole: database, schema, both listeners. Stops again what it started when a part fails.
 *
 * @param metadataRoots PEM; to one of them the signer of FIDO metadata leads
 */
export async function startService(
  config: Config,
  clock: Clock = systemClock,
  metadataRoots: readonly string[] = FIDO_METADATA_ROOTS,
): Promise<RunningService> {
  const watched = await watchSettings(config, clock);
  const database = await openDatabase(config, (dataSource, names) => recordMigrations(dataSource, names, clock.now()));
  const pino = createLogger(config.production);
  const stops = [database.stop];
  const stop = async (): Promise<void> => {
    for (const close of stops.splice(0).reverse()) await close();
  };
  try {
    const settings = { ...config, databaseUrl: database.url };
    const app = await createApp(AppModule.with(settings, clock, metadataRoots, watched), watched, pino);
    stops.push(() => app.close());
    const audit = app.get(AuditService);
    const management = await createManagement(app, clock, pino);
    stops.push(() => management.close());
    const httpsUrl = await listen(app, config.https, 'https');
    const managementUrl = await listen(management, config.management, 'http');
    const facts = { https: httpsUrl, policy_digest: watched.policy.value.digest, trust: factsOf(watched.trust.value) };
    await audit.record(null, { type: 'service.start', outcome: 'success', facts });
    stops.push(async () => {
      await audit.record(null, { type: 'service.stop', outcome: 'success' }).catch(() => undefined);
    });
    return { app, httpsUrl, managementUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws ConfigError, AccessPolicyError */
async function watchSettings({ tls, accessPolicyFile }: Config, clock: Clock): Promise<WatchedSettings> {
  try {
    const trust = await WatchedFiles.open<TrustMaterial>(trustFiles(tls), (held) =>
      readTrustMaterial(tls, clock.now(), held),
    );
    return { trust, policy: await watchedPolicy(accessPolicyFile) };
  } catch (error) {
    throw error instanceof TrustMaterialError ? new ConfigError([error.message]) : error;
  }
}

async function createApp(
  module: DynamicModule,
  { trust }: WatchedSettings,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const problems = new ProblemFilter();
  const adapter = new FastifyAdapter({
    https: tlsOptions(trust.value.context),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: () => uuidv7(),
    requestIdHeader: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 3_100 },
    clientErrorHandler: answerUnparsable,
    frameworkErrors: problems.render.bind(problems),
  });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    bodyParser: false,
    abortOnError: false,
  });
  const fastify = adapter.getInstance();
  acceptJsonBodies(fastify);
  logRequests(fastify, pino, app.get(Metrics));
  refuseBadEncoding(fastify);
  drainOnClose(fastify);
  app.useGlobalPipes(strictValidation());
  app.useGlobalFilters(problems);
  const server: Server = adapter.getHttpServer();
  app.get(Connections).serve(server);
  app.get(ListenerTrust).serve(server);
  watchHandshakes(server, app.get(AuditService), app.get(Metrics));
  await app.init();
  await fastify.ready();
  return app;
}

/** Nest's logger is the process's: the second application must name the same one. */
function createManagement(app: NestFastifyApplication, clock: Clock, pino: Logger): Promise<NestFastifyApplication> {
  const file = app.get(MetadataFile);
  const log = app.get(LogKeeper);
  const identity = { trust: app.get(ListenerTrust), access: app.get(PolicyInForce) };
  const service = {
    ...{ dataSource: app.get(DataSource), metrics: app.get(Metrics), metadata: () => file.state(), clock },
    identity: () => identity,
    auditLog: () => log.state(),
  };
  return NestFactory.create<NestFastifyApplication>(ManagementModule.over(service), new FastifyAdapter(), {
    logger: new PinoLogger(pino),
    abortOnError: false,
  });
}

async function listen(app: NestFastifyApplication, { host, port }: Listener, scheme: string): Promise<string> {
  await app.listen(port, host).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    const setting = scheme === 'https' ? 'PASSKEY_HTTPS' : 'PASSKEY_MANAGEMENT';
    throw code === undefined ? error : new ConfigError([`${setting}_HOST, _PORT: ${message}`]);
  });
  const address = app.getHttpServer().address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${shown}:${String(address.port)}`;
}
