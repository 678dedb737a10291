import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { WatchedSettings } from '../app.module.js';
import { ProblemFilter } from '../http/problem.filter.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { PinoLogger } from '../telemetry/pino-logger.js';
import { createAdapter, installRequestPipeline } from './request-pipeline.js';

/** Creates the application that serves callers over mutual TLS (docs/adr/0006-two-listeners.md). */
export async function createApp(
  module: DynamicModule,
  { trust }: WatchedSettings,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const problems = new ProblemFilter();
  const adapter = createAdapter({ trust }, problems, (request, reply) => app.get(CallerGuard).identify(request, reply));
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    bodyParser: false,
    abortOnError: false,
  });
  installRequestPipeline(app, { trust, pino, problems });
  await app.init();
  await adapter.getInstance().ready();
  return app;
}
