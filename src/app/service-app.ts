import { installRequestPipeline } from './request-pipeline.js';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { WatchedSettings } from '../app.module.js';
import { assignRequestId, refuseConnection, toUnparsableProblem } from '../http/exchanges.js';
import { BODY_LIMIT_BYTES } from '../http/json-body.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { createTlsOptions } from '../identity/tls-options.js';
import { ProblemFilter } from '../http/problem.filter.js';
import { PinoLogger } from '../telemetry/pino-logger.js';

/** Creates the application that serves callers over mutual TLS (docs/adr/0006-two-listeners.md). */
export async function createApp(
  module: DynamicModule,
  { trust }: WatchedSettings,
  pino: Logger,
): Promise<NestFastifyApplication> {
  const problems = new ProblemFilter();
  /** Answers what Fastify refuses before its hooks run: an unreadable path or a parameter that is too long. */
  const refuse = (error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    const answer = (reason: unknown): void => {
      problems.render(reason, request, reply);
    };
    app.get(CallerGuard).identify(request, reply).then(() => { answer(error) }, answer); // prettier-ignore
  };
  const adapter = new FastifyAdapter({
    https: createTlsOptions(trust.value.context),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: assignRequestId,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 3_100 },
    clientErrorHandler: (error, socket) => {
      refuseConnection(socket, toUnparsableProblem(error));
    },
    frameworkErrors: refuse,
  });
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
