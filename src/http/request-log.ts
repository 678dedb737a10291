import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { describeSpan } from '../telemetry/spans.js';
import { getContext } from './request-context.js';
import type { Metrics } from '../telemetry/metrics.js';

/** Writes one log line and one measurement for each answer. */
export function logRequests(fastify: FastifyInstance, logger: Logger, metrics: Metrics): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const { caller, certificate, decision, epoch, requestId, source, span } = getContext(request);
    const { method } = request;
    const route = request.routeOptions.url ?? 'none';
    const status = reply.statusCode;
    metrics.requests.observe({ method, route, status_code: status }, reply.elapsedTime / 1_000);
    const fields = {
      requestId,
      ...describeSpan(span),
      method,
      route,
      status,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      caller: caller?.spiffeId,
      certificateFingerprint: caller?.fingerprint,
      refusedCertificate: certificate,
      trustEpoch: epoch,
      permission: decision?.permission,
      decision: decision?.outcome,
      policyDigest: decision?.policyDigest,
      sourceIp: source.ip,
    };
    logger.info(fields, 'request');
    done();
  });
}
