import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { type HealthIndicatorFunction, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { AuditService } from '../../audit/audit.service.js';
import { CLOCK, type Clock } from '../../config/clock.js';
import { type Config } from '../../config/config.js';
import { createProbePool } from '../../database/data-source.js';
import { Metrics } from '../../telemetry/metrics.js';
import { DatabaseProbe, PROBE_POOL } from './database-probe.js';
import { HealthController, INDICATORS } from './health.controller.js';
import { EXPOSITION, type Exposition, MetricsController } from './metrics.controller.js';
import {
  AUDIT_LOG,
  type AuditLogReading,
  AUTHENTICATOR_FILES,
  type AuthenticatorFiles,
  BINDING_KEY,
  type BindingKeyReading,
  IDENTITY,
  type IdentityReading,
  Readiness,
  RECONCILIATION,
  type ReconciliationReading,
  SEALS,
  type SealsReading,
  SIGNAL_PUSH,
  type SignalPushReading,
  SIGNING_KEYS,
  type SigningKeysReading,
  SPENT_CHALLENGES,
  type SpentChallengesReading,
} from './readiness.js';

/**
 * The application for operators: plain HTTP, on loopback unless configured otherwise, beside the application for
 * callers.
 */
@Module({})
export class ManagementModule {
  /** For a process that serves callers itself. */
  static forService(service: {
    config: Config;
    audit: AuditService;
    metrics: Metrics;
    authenticatorFiles: AuthenticatorFiles;
    identity: IdentityReading;
    auditLog: AuditLogReading;
    bindingKey: BindingKeyReading;
    seals: SealsReading;
    spentChallenges: SpentChallengesReading;
    signingKeys: SigningKeysReading;
    signalPush: SignalPushReading;
    reconciliation: ReconciliationReading;
    clock: Clock;
  }): DynamicModule {
    return createManagementModule([
      Readiness,
      DatabaseProbe,
      {
        provide: PROBE_POOL,
        useFactory: () => createProbePool(service.config.databaseUrl ?? '', service.config.databasePasswordFile),
      },
      { provide: AuditService, useValue: service.audit },
      { provide: Metrics, useValue: service.metrics },
      { provide: AUTHENTICATOR_FILES, useValue: service.authenticatorFiles },
      { provide: IDENTITY, useValue: service.identity },
      { provide: AUDIT_LOG, useValue: service.auditLog },
      { provide: BINDING_KEY, useValue: service.bindingKey },
      { provide: SEALS, useValue: service.seals },
      { provide: SPENT_CHALLENGES, useValue: service.spentChallenges },
      { provide: SIGNING_KEYS, useValue: service.signingKeys },
      { provide: SIGNAL_PUSH, useValue: service.signalPush },
      { provide: RECONCILIATION, useValue: service.reconciliation },
      { provide: CLOCK, useValue: service.clock },
      { provide: INDICATORS, inject: [Readiness], useFactory: (readiness: Readiness) => readiness.listIndicators() },
      { provide: EXPOSITION, useValue: () => service.metrics.registry.metrics() },
    ]);
  }

  /** For the primary, which asks its workers. */
  static forWorkers(workers: {
    indicators: (check: HealthIndicatorService) => HealthIndicatorFunction[];
    exposition: Exposition;
  }): DynamicModule {
    return createManagementModule([
      { provide: INDICATORS, inject: [HealthIndicatorService], useFactory: workers.indicators },
      { provide: EXPOSITION, useValue: workers.exposition },
    ]);
  }
}

function createManagementModule(providers: Provider[]): DynamicModule {
  return {
    module: ManagementModule,
    imports: [TerminusModule.forRoot({ logger: false })],
    controllers: [HealthController, MetricsController],
    providers,
  };
}
