import { Global, Module } from '@nestjs/common';
import { Metrics } from './metrics.js';

/**
 * This folder shows operators the state of a running service. metrics.ts declares every Prometheus metric. pino-logger.ts
 * writes the log as JSON lines for Nest and for the request log, and log-output.ts writes the lines to standard output
 * without ever delaying a request. spans.ts begins and ends the spans of a trace, and tracing.ts loads OpenTelemetry if a
 * collector is set.
 */
@Global()
@Module({ providers: [Metrics], exports: [Metrics] })
export class TelemetryModule {}
