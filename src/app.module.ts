import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { AccessPolicy } from './access/access-policy.js';
import { AccessModule } from './access/access.module.js';
import { POLICY_FILES } from './access/policy-store.js';
import { ApprovalsModule } from './approvals/approvals.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuditLogModule } from './audit-log/audit-log.module.js';
import { AuthenticatorsModule } from './authenticators/authenticators.module.js';
import { METADATA_ROOTS } from './authenticators/metadata-file.js';
import { ChallengesModule } from './challenges/challenges.module.js';
import { ConfirmationsModule } from './confirmations/confirmations.module.js';
import { CLOCK, type Clock } from './config/clock.js';
import { CONFIG, type Config } from './config/config.js';
import { readSecretKeys, SECRET_KEYS } from './config/secret-keys.js';
import { CredentialsModule } from './credentials/credentials.module.js';
import { EnrolledModelsModule } from './credentials/enrolled-models.js';
import type { WatchedFiles } from './config/watched-files.js';
import { DatabaseModule } from './database/database.module.js';
import { TRUST_FILES } from './identity/listener-trust.js';
import type { TrustMaterial } from './identity/trust-material.js';
import { KeyRotationModule } from './key-rotation/key-rotation.module.js';
import { OpenApiController } from './openapi/openapi.controller.js';
import { PaymentsModule } from './payments/payments.module.js';
import { PortabilityModule } from './portability/portability.module.js';
import { ReceiptsModule } from './receipts/receipts.module.js';
import { ReconciliationModule } from './reconciliation/reconciliation.module.js';
import { RelyingPartiesModule } from './relying-parties/relying-parties.module.js';
import { SealsModule } from './seals/seals.module.js';
import { StatisticsModule } from './statistics/statistics.module.js';
import { SignalsModule } from './signals/signals.module.js';
import { SuccessorsModule } from './successors/successors.module.js';
import { TelemetryModule } from './telemetry/telemetry.module.js';

/**
 * The files that are read before the application exists, because its listener needs them, and that are watched
 * afterwards.
 */
export interface WatchedSettings {
  readonly trust: WatchedFiles<TrustMaterial>;
  readonly policy: WatchedFiles<AccessPolicy>;
}

/** Imports every module of the service: the table of contents. */
@Global()
@Module({
  imports: [
    DatabaseModule,
    SealsModule,
    TelemetryModule,
    AuditModule,
    AuditLogModule,
    AccessModule,
    ApprovalsModule,
    AuthenticatorsModule,
    RelyingPartiesModule,
    ChallengesModule,
    SignalsModule,
    CredentialsModule,
    ConfirmationsModule,
    PaymentsModule,
    PortabilityModule,
    EnrolledModelsModule,
    KeyRotationModule,
    ReceiptsModule,
    ReconciliationModule,
    SuccessorsModule,
    StatisticsModule,
  ],
  controllers: [OpenApiController],
})
export class AppModule {
  static forRoot(
    config: Config,
    clock: Clock,
    metadataRoots: readonly string[],
    { trust, policy }: WatchedSettings,
  ): DynamicModule {
    return {
      module: AppModule,
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: CLOCK, useValue: clock },
        { provide: METADATA_ROOTS, useValue: metadataRoots },
        { provide: TRUST_FILES, useValue: trust },
        { provide: POLICY_FILES, useValue: policy },
        { provide: SECRET_KEYS, useFactory: () => readSecretKeys(config) },
      ],
      exports: [CONFIG, CLOCK, METADATA_ROOTS, TRUST_FILES, POLICY_FILES, SECRET_KEYS],
    };
  }
}
