import { type AddressInfo } from 'node:net';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { PolicyStore } from '../access/policy-store.js';
import { AuditService } from '../audit/audit.service.js';
import { CheckpointScheduler } from '../audit-log/checkpoint-scheduler.js';
import { AttestationRoots } from '../authenticators/attestation-roots.js';
import { MetadataFile } from '../authenticators/metadata-file.js';
import { SpentChallengePeriods } from '../challenges/spent-challenge-periods.js';
import type { Clock } from '../config/clock.js';
import { CONFIG, type Config, ConfigError, type Listener } from '../config/config.js';
import { keepNewestConnections, setRequestTimeouts } from '../http/connection-limits.js';
import { CredentialSample } from '../credentials/credential-sample.js';
import { HealthController } from './management/health.controller.js';
import { ManagementModule } from './management/management.module.js';
import { ListenerBounds } from '../identity/listener-bounds.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { PushFiles } from '../push/push-files.js';
import { ReceiptKeys } from '../receipts/receipt-keys.js';
import { Reconciler } from '../reconciliation/reconciler.js';
import { SealRegister } from '../seals/seal-register.js';
import { PushScheduler } from '../signals/push-scheduler.js';
import { StreamUpkeep } from '../signals/stream-upkeep.js';
import { SignalKeys } from '../signals/signal-keys.js';
import { Metrics } from '../telemetry/metrics.js';
import { PinoLogger } from '../telemetry/pino-logger.js';

/** Creates the application for operators, which reports on the application for callers. */
export async function createServiceManagement(
  app: NestFastifyApplication,
  clock: Clock,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const [metadata, roots] = [app.get(MetadataFile), app.get(AttestationRoots)];
  const log = app.get(CheckpointScheduler);
  const sample = app.get(CredentialSample);
  const seals = app.get(SealRegister);
  const [pushFiles, pushes] = [app.get(PushFiles), app.get(PushScheduler)];
  const [receiptKeys, signalKeys] = [app.get(ReceiptKeys), app.get(SignalKeys)];
  const upkeep = app.get(StreamUpkeep);
  const reconciler = app.get(Reconciler);
  const periods = app.get(SpentChallengePeriods);
  const identity = {
    trust: app.get(ListenerTrust),
    access: app.get(PolicyStore),
    bounds: app.get(ListenerBounds),
  };
  const service = {
    config: app.get<Config>(CONFIG),
    audit: app.get(AuditService),
    metrics: app.get(Metrics),
    clock,
    authenticatorFiles: { metadata: () => metadata.describeState(), attestationRoots: () => roots.describeState() },
    identity: () => identity,
    bindingKey: () => ({ missingKey: seals.missingKey, sample: sample.latest }),
    seals: () => seals,
    spentChallenges: () => periods.end,
    signingKeys: { receipts: () => receiptKeys.describeState(), signals: () => signalKeys.describeState() },
    signalPush: {
      push: () => {
        const files = pushFiles.describeState();
        return files && { ...files, ...pushes.getState() };
      },
      outbox: () => upkeep.describeState(),
    },
    reconciliation: () => (reconciler.isActive ? reconciler.getState() : undefined),
    auditLog: () => (log.isActive ? log.getState() : undefined),
  };
  const management = await createManagementApp(ManagementModule.forService(service), pino);
  const health = management.get(HealthController);
  service.metrics.checkIndicators = async () => {
    const { details } = await health.describeReadiness();
    return Object.fromEntries(Object.entries(details).map(([key, { status }]) => [key, status === 'up']));
  };
  return management;
}

/** Far more than the number of simultaneous probes. */
const MAX_MANAGEMENT_CONNECTIONS = 512;

/**
 * Creates an application for operators. Nest has one logger per process, so a second application must be given the same
 * one.
 */
export async function createManagementApp(module: DynamicModule, pino: Logger): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    abortOnError: false,
  });
  const server = app.getHttpServer();
  setRequestTimeouts(server);
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
  const setting = scheme === 'https' ? 'PASSKEY_HTTPS' : 'PASSKEY_MANAGEMENT';
  await app.init();
  // Not app.listen(), which logs a failure before it throws it.
  const server = app.getHttpAdapter().getInstance();
  await server.listen({ host, port }).catch((error: unknown) => {
    throw describeListenFailure(error as NodeJS.ErrnoException, setting, { host, port });
  });
  const address = app.getHttpServer().address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${shown}:${String(address.port)}`;
}

function describeListenFailure(error: NodeJS.ErrnoException, setting: string, { host, port }: Listener): Error {
  const { code, message } = error;
  if (code === undefined) return error;
  const known: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${String(port)} is in use: end the other program, or set ${setting}_PORT`,
    EACCES: `Port ${String(port)} needs a privilege: set ${setting}_PORT to a port from 1024`,
    EADDRNOTAVAIL: `${setting}_HOST is "${host}", which is no address of this machine`,
    ENOTFOUND: `${setting}_HOST is "${host}", which has no address`,
  };
  return new ConfigError([known[code] ?? `${setting}_HOST, _PORT: ${message}`]);
}
