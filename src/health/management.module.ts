import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { CLOCK, type Clock } from '../config/clock.js';
import { PolicyInForce } from '../access/policy-in-force.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { Metrics } from '../telemetry/metrics.js';
import { DataSource } from 'typeorm';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { METADATA, type MetadataReading, Readiness } from './readiness.js';

/** The operators' listener: plain HTTP, on loopback unless set otherwise, an application of its own beside the service. */
@Module({})
export class ManagementModule {
  static over(service: {
    dataSource: DataSource;
    metrics: Metrics;
    metadata: MetadataReading;
    trust: ListenerTrust;
    policy: PolicyInForce;
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
        { provide: ListenerTrust, useValue: service.trust },
        { provide: PolicyInForce, useValue: service.policy },
        { provide: CLOCK, useValue: service.clock },
      ],
    };
  }
}
