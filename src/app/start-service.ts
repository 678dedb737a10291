import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { openPolicyFile } from '../access/policy-store.js';
import { AppModule, type WatchedSettings } from '../app.module.js';
import { createApp } from './service-app.js';
import { createServiceManagement, listen } from './management-app.js';
import { AuditService } from '../audit/audit.service.js';
import { beginLog } from '../audit-log/begin-log.js';
import { type Clock, systemClock } from '../config/clock.js';
import { type Config, ConfigError } from '../config/config.js';
import { describeDevelopmentFiles } from '../config/development.js';
import { fillInTrustDomain } from '../config/tls-files.js';
import { WatchedFiles } from '../config/watched-files.js';
import { openDatabase, toConfigError } from './open-database.js';
import { describeTrust } from '../identity/listener-trust.js';
import { readTrustMaterial, listTrustFiles, type TrustMaterial } from '../identity/trust-material.js';
import { TrustMaterialError } from '../identity/trust-material-error.js';
import { createLogger } from '../telemetry/pino-logger.js';
import { startTracing } from '../telemetry/tracing.js';
import { FIDO_METADATA_ROOTS } from '../webauthn/well-known-roots.js';
import { type Stop, stopAll } from './stop-all.js';

/*
 * This folder starts and stops the service. main.ts calls it.
 *
 *  - start-service.ts opens the settings, the database (open-database.ts) and both applications, and stops them in the reverse
 *    order. development-files.ts loads what only a development start has.
 *  - service-app.ts creates the application for callers, made-parts.ts closes what one has opened that could not be made, and
 *    request-pipeline.ts lists everything that a request passes.
 *  - management-app.ts creates the application for operators; management/ has its health checks and metrics.
 *  - stop-causes.ts lists what stops the service from outside.
 *  - workers/ runs several processes on one port: primary.ts in the first one, worker.ts in each of the others.
 */

export interface RunningService extends Serving {
  readonly managementUrl: string;
}

/** A service that serves callers. Its application for operators is ready but does not listen. */
export interface Serving {
  readonly app: NestFastifyApplication;
  readonly management: NestFastifyApplication;
  readonly httpsUrl: string;
  /** Answers the open requests, records the stop, and closes the listeners, the pool and the embedded database. */
  stop(): Promise<void>;
}

/**
 * Starts the whole service: database, schema and both listeners. If a part fails, it stops the parts that it has
 * started.
 *
 * @param metadataRoots the roots that the signer of FIDO metadata must lead to, PEM
 */
export async function startService(
  config: Config,
  clock: Clock = systemClock,
  metadataRoots: readonly string[] = FIDO_METADATA_ROOTS,
): Promise<RunningService> {
  const watched = await openSettings(config, clock);
  const database = await openDatabase(config, (through, names) => beginLog(through, names, clock.now()));
  const stops = [database.stop];
  try {
    return await serve({ ...config, databaseUrl: database.url }, clock, metadataRoots, watched, stops);
  } catch (error) {
    await stopAll(stops);
    throw toConfigError(error);
  }
}

/** Starts one worker of several, on a database that is ready. */
export async function startWorker(config: Config): Promise<Serving> {
  const watched = await openSettings(config, systemClock);
  const stops: Stop[] = [];
  try {
    return await serve(config, systemClock, FIDO_METADATA_ROOTS, watched, stops);
  } catch (error) {
    await stopAll(stops);
    throw toConfigError(error);
  }
}

/** @param stops receives a function for each part that has started, also when a later part fails */
async function serve(
  config: Config,
  clock: Clock,
  metadataRoots: readonly string[],
  watched: WatchedSettings,
  stops: Stop[],
): Promise<RunningService> {
  const { worker } = config;
  const logger = createLogger(config);
  const pino = worker ? logger.child({ worker: worker.number }) : logger;
  if (config.traces) stops.push(await startTracing({ settings: config.traces, logger: pino, worker: worker?.number }));
  const app = await createApp(AppModule.forRoot(config, clock, metadataRoots, watched), watched, pino);
  stops.push(() => app.close());
  const audit = app.get(AuditService);
  const management = await createServiceManagement(app, clock, pino);
  stops.push(() => management.close());
  const httpsUrl = await listen(app, config.https, 'https');
  const managementUrl = worker ? '' : await listen(management, config.management, 'http');
  const { policy, trust } = watched;
  const facts = {
    ...describeWorker(config),
    https: httpsUrl,
    policy_digest: policy.value.digest,
    trust: describeTrust(trust.value),
  };
  await audit.record(null, { type: 'service.start', outcome: 'success', facts });
  stops.push(async () => {
    await audit
      .record(null, { type: 'service.stop', outcome: 'success', facts: describeWorker(config) })
      .catch(() => undefined);
  });
  return { app, management, httpsUrl, managementUrl, stop: () => stopAll(stops) };
}

/**
 * Names the process that starts or stops, and the lost worker that it replaces, which could not record its own stop.
 */
function describeWorker({ worker }: Config): Record<string, unknown> {
  return worker ? { worker: worker.number, workers: worker.of, pid: process.pid, replaces: worker.replaces } : {};
}

/** Reads the trust material and the access policy. @throws ConfigError, AccessPolicyError */
export async function openSettings(config: Config, clock: Clock): Promise<WatchedSettings> {
  try {
    const policy = await openPolicyFile(config.accessPolicyFile);
    const tls = fillInTrustDomain(config.tls, () => policy.value.trustDomain);
    const trust = await WatchedFiles.open<TrustMaterial>(listTrustFiles(tls), async (held) => {
      const material = await readTrustMaterial(tls, clock.now(), held);
      if (held) refuseDevelopmentFiles(config, material, policy.value.trustDomain);
      return material;
    });
    refuseDevelopmentFiles(config, trust.value, policy.value.trustDomain);
    return { trust, policy };
  } catch (error) {
    throw error instanceof TrustMaterialError ? new ConfigError([error.message]) : error;
  }
}

/** Refuses development files in production, at the start and at each reload. @throws ConfigError */
function refuseDevelopmentFiles(config: Config, trust: TrustMaterial, trustDomain: string): void {
  if (!config.production || config.allowDevelopment) return;
  const mistakes = describeDevelopmentFiles(config, trust, trustDomain);
  if (mistakes.length > 0) throw new ConfigError(mistakes);
}
