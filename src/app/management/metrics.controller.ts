import { Controller, Get, Header, Inject } from '@nestjs/common';
import { shareOutcome } from './share-outcome.js';

/** Gives all metrics in Prometheus' text format. */
export type Exposition = () => Promise<string>;
export const EXPOSITION = Symbol('Exposition');

@Controller('metrics')
export class MetricsController {
  private readonly expose: Exposition;

  constructor(@Inject(EXPOSITION) expose: Exposition) {
    this.expose = shareOutcome(expose);
  }

  @Get()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  getMetrics(): Promise<string> {
    return this.expose();
  }
}
