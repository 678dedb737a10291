import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { CLOCK, type Clock } from '../config/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { DataSource } from 'typeorm';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import {
  AUDIT_LOG,
  type AuditLogReading,
  IDENTITY,
  type IdentityReading,
  METADATA,
  type MetadataReading,
  Readiness,
} from './readiness.js';

/** The operators' listener: plain HTTP, on loopback unless set otherwise, an application of its own beside the service. */
@Module({})
export class ManagementModule {
  static over(service: {
    dataSource: DataSource;
    metrics: Metrics;
    metadata: MetadataReading;
    identity: IdentityReading;
    auditLog: AuditLogReading;
    clock: Clock;
  }): DynamicModule {
    return {
      module: ManagementModule,
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController, MetricsController],
      providers: [
        Readiness,
        { provide: DataSource, useValue: service.dataSource },
        { provide: Metrics, useValue: service.metrics },
        { provide: METADATA, useValue: service.metadata },
        { provide: IDENTITY, useValue: service.identity },
        { provide: AUDIT_LOG, useValue: service.auditLog },
        { provide: CLOCK, useValue: service.clock },
      ],
    };
  }
}
