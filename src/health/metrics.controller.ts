import { Controller, Get, Header, Inject } from '@nestjs/common';

/** In Prometheus' text format. */
export type Exposition = () => Promise<string>;
export const EXPOSITION = Symbol('Exposition');

@Controller('metrics')
export class MetricsController {
  constructor(@Inject(EXPOSITION) private readonly expose: Exposition) {}

  @Get()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  exposition(): Promise<string> {
    return this.expose();
  }
}
