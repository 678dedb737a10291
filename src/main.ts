import cluster from 'node:cluster';
import { join, relative } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { AccessPolicyError } from './access/access-policy.js';
import { refuseArguments } from './app/arguments.js';
import { prepareDevelopment } from './app/development-files.js';
import { startService } from './app/start-service.js';
import { onStop } from './app/stop-causes.js';
import { type Config, ConfigError, readConfig } from './config/config.js';
import { DEVELOPMENT_RELYING_PARTY, DEVELOPMENT_TRUST_DOMAIN } from './config/development.js';
import { surviveStreamErrors } from './telemetry/log-output.js';
import { createLogger } from './telemetry/pino-logger.js';
import { startWorkers } from './app/workers/primary.js';
import { runWorker } from './app/workers/worker.js';
import { WorkerError } from './app/workers/worker-process.js';

interface Running {
  readonly httpsUrl: string;
  readonly managementUrl: string;
  /** Rejects when the service cannot go on. */
  readonly failure?: Promise<never>;
  stop(): Promise<void>;
}

/** Prints what a person at a terminal needs first. In every environment, the first line names the ports. */
function announce(service: Running, config: Config): void {
  const { httpsUrl, managementUrl } = service;
  if (config.production) {
    console.log(
      JSON.stringify({
        level: 30,
        time: new Date().toISOString(),
        msg: 'listening',
        https: httpsUrl,
        management: managementUrl,
      }),
    );
    return;
  }
  const pki = join(relative(process.cwd(), config.dataDir) || '.', 'pki');
  const localhost = httpsUrl.replace('127.0.0.1', 'localhost');
  console.log(`Passkey Manager listens on ${httpsUrl} (mutual TLS) and ${managementUrl} (health, metrics).

  Database    ${config.databaseUrl === undefined ? `embedded PostgreSQL in ${config.dataDir}` : 'DATABASE_URL'}
  Identities  spiffe://${DEVELOPMENT_TRUST_DOMAIN}/{auth-service,operator,auditor,stranger}, in ${pki}
  Policy      ${config.accessPolicyFile}
  RP          ${DEVELOPMENT_RELYING_PARTY.rpId}, ${DEVELOPMENT_RELYING_PARTY.origins.join(', ')}

Try it:

  curl --cacert ${pki}/ca.crt --cert ${pki}/auth-service.crt --key ${pki}/auth-service.key ${localhost}/v1/credentials

For a page in the browser: npm run demo. To stop: Ctrl-C.
`);
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  if (!config.production) await prepareDevelopment(config.dataDir);
  const starting: Promise<Running> = config.workers === 1 ? startService(config) : startWorkers(config);
  let stopping: Promise<void> | undefined;
  onStop(() => {
    stopping ??= starting.then((service) => service.stop()).then(() => process.exit(0), fail);
  });
  const service = await starting;
  service.failure?.catch((error: unknown) => {
    stopping ??= service.stop().then(() => fail(error), fail);
  });
  if (stopping) return;
  announce(service, config);
  const logger = createLogger(config);
  for (const sentence of config.unknownSettings) logger.warn(sentence);
}

function fail(error: unknown): never {
  const expected =
    [ConfigError, AccessPolicyError, WorkerError].some((kind) => error instanceof kind) ||
    // Its class is in dev/, which the image leaves out.
    (error instanceof Error && error.name === 'EmbeddedPostgresError');
  console.error(expected ? (error as Error).message : error);
  process.exit(1);
}

/**
 * V8 learns which objects survived while the service started, and allocates their kind in the old generation for each
 * request. Such objects die at once, but keep everything that they refer to alive until the next major collection,
 * which takes up to 100 ms.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

surviveStreamErrors();
if (cluster.isWorker) runWorker();
else {
  refuseArguments();
  main().catch(fail);
}
