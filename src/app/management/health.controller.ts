import { Controller, Get, Inject } from '@nestjs/common';
import {
  HealthCheck,
  type HealthCheckResult,
  HealthCheckService,
  type HealthIndicatorFunction,
} from '@nestjs/terminus';
import { shareOutcome } from './share-outcome.js';

export const INDICATORS = Symbol('HealthIndicatorFunction[]');

@Controller('health')
export class HealthController {
  private readonly checkReadiness: () => Promise<HealthCheckResult>;

  constructor(
    private readonly health: HealthCheckService,
    @Inject(INDICATORS) indicators: HealthIndicatorFunction[],
  ) {
    this.checkReadiness = shareOutcome(() => health.check(indicators));
  }

  /** Reports that the process answers. It checks nothing else, least of all the database. */
  @Get('live')
  @HealthCheck()
  live(): Promise<HealthCheckResult> {
    return this.health.check([]);
  }

  /** Gives the answer of `ready` whether or not it is down. Never throws. */
  async describeReadiness(): Promise<HealthCheckResult> {
    return this.checkReadiness().catch(
      (error: unknown) =>
        (error as { getResponse?(): HealthCheckResult }).getResponse?.() ?? {
          status: 'error',
          details: { error: { status: 'down', message: String(error) } },
        },
    );
  }

  /** Reports whether the service can do its work. Probes that come at the same time share one answer. */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.checkReadiness();
  }
}
