import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { WatchedSettings } from '../app.module.js';
import { ProblemFilter } from '../http/problem.filter.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { PinoLogger } from '../telemetry/pino-logger.js';
import { MadeParts } from './made-parts.js';
import { createAdapter, installRequestPipeline } from './request-pipeline.js';

/**
 * Creates the application that serves callers over mutual TLS (docs/adr/0006-two-listeners.md). If that fails, it closes what the
 * application has opened.
 */
export async function createApp(
  module: DynamicModule,
  { trust }: WatchedSettings,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const problems = new ProblemFilter();
  const adapter = createAdapter({ trust }, problems, (request, reply) => app.get(CallerGuard).identify(request, reply));
  const parts = new MadeParts();
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new PinoLogger(pino),
    bodyParser: false,
    abortOnError: false,
    instrument: { instanceDecorator: parts.add },
  }).catch(async (error: unknown) => {
    await parts.close();
    throw error;
  });
  try {
    installRequestPipeline(app, { trust, pino, problems });
    await app.init();
    await adapter.getInstance().ready();
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}
