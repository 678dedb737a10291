import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { watchedPolicy } from './access/policy-in-force.js';
import { AppModule, type WatchedSettings } from './app.module.js';
import { createApp, createManagement, listen } from './applications.js';
import { AuditService } from './audit/audit.service.js';
import { beginLog } from './audit/begin-log.js';
import { type Clock, systemClock } from './config/clock.js';
import { type Config, ConfigError } from './config/config.js';
import { findDevelopment } from './config/development.js';
import { WatchedFiles } from './config/watched-files.js';
import { openDatabase } from './database/open-database.js';
import { factsOf } from './identity/listener-trust.js';
import { readTrustMaterial, trustFiles, type TrustMaterial } from './identity/trust-material.js';
import { TrustMaterialError } from './identity/trust-material-error.js';
import { createLogger } from './telemetry/pino-logger.js';
import { FIDO_METADATA_ROOTS } from './webauthn/well-known-roots.js';

export interface RunningService extends Serving {
  readonly managementUrl: string;
}

/** The service and what is known of it, without a listener for operators. */
export interface Serving {
  readonly app: NestFastifyApplication;
  readonly management: NestFastifyApplication;
  readonly httpsUrl: string;
  /** Answers what was asked, records the stop, closes the listeners, the pool and the embedded database. */
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
  const database = await openDatabase(config, (dataSource, names) => beginLog(dataSource, names, clock.now()));
  const stops = [database.stop];
  try {
    return await serve({ ...config, databaseUrl: database.url }, clock, metadataRoots, watched, stops);
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

/** Serves as one of several processes, on a database that is ready. */
export async function startWorker(config: Config): Promise<Serving> {
  const watched = await watchSettings(config, systemClock);
  const stops: Stop[] = [];
  try {
    return await serve(config, systemClock, FIDO_METADATA_ROOTS, watched, stops);
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

type Stop = () => Promise<void>;

/** The last first. */
async function stopAll(stops: Stop[]): Promise<void> {
  for (const close of stops.splice(0).reverse()) await close();
}

/** @param stops gets what is to be stopped, also when this fails */
async function serve(
  config: Config,
  clock: Clock,
  metadataRoots: readonly string[],
  watched: WatchedSettings,
  stops: Stop[],
): Promise<RunningService> {
  const { worker } = config;
  const logger = createLogger(config.production);
  const pino = worker ? logger.child({ worker: worker.number }) : logger;
  const app = await createApp(AppModule.with(config, clock, metadataRoots, watched), watched, pino);
  stops.push(() => app.close());
  const audit = app.get(AuditService);
  const management = await createManagement(app, clock, pino);
  stops.push(() => management.close());
  const httpsUrl = await listen(app, config.https, 'https');
  const managementUrl = worker ? '' : await listen(management, config.management, 'http');
  const { policy, trust } = watched;
  const facts = {
    ...workerFacts(config),
    https: httpsUrl,
    policy_digest: policy.value.digest,
    trust: factsOf(trust.value),
  };
  await audit.record(null, { type: 'service.start', outcome: 'success', facts });
  stops.push(async () => {
    await audit
      .record(null, { type: 'service.stop', outcome: 'success', facts: workerFacts(config) })
      .catch(() => undefined);
  });
  return { app, management, httpsUrl, managementUrl, stop: () => stopAll(stops) };
}

/** Which process starts or stops, and whether it stands in for one that was lost: that one could not record its stop. */
function workerFacts({ worker }: Config): Record<string, unknown> {
  return worker ? { worker: worker.number, workers: worker.of, pid: process.pid, replaces: worker.replaces } : {};
}

/** @throws ConfigError, AccessPolicyError */
export async function watchSettings(config: Config, clock: Clock): Promise<WatchedSettings> {
  const { tls, accessPolicyFile } = config;
  try {
    const trust = await WatchedFiles.open<TrustMaterial>(trustFiles(tls), async (held) => {
      const material = await readTrustMaterial(tls, clock.now(), held);
      if (held) demandOwn(config, material, policy.value.trustDomain);
      return material;
    });
    const policy = await watchedPolicy(accessPolicyFile);
    demandOwn(config, trust.value, policy.value.trustDomain);
    return { trust, policy };
  } catch (error) {
    throw error instanceof TrustMaterialError ? new ConfigError([error.message]) : error;
  }
}

/** Production uses nothing that development generated, neither at a start nor after it. @throws ConfigError */
function demandOwn(config: Config, trust: TrustMaterial, trustDomain: string): void {
  if (!config.production || config.allowDevelopment) return;
  const mistakes = findDevelopment(config, trust, trustDomain);
  if (mistakes.length > 0) throw new ConfigError(mistakes);
}
