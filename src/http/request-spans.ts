import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { endRequestSpan, isTracing, runInSpan, startRequestSpan } from '../telemetry/spans.js';
import { getContext } from './request-context.js';

/**
 * Traces each request of an identified caller. It stands behind CallerGuard, so a stranger can neither begin a trace nor
 * continue one.
 */
export function traceRequests(fastify: FastifyInstance): void {
  if (!isTracing()) return;
  fastify.addHook('onRequest', (request, reply, done) => {
    const context = getContext(request);
    const attributes = { 'http.request.method': request.method, 'http.route': request.routeOptions.url };
    context.span = startRequestSpan(context.operation, request.headers.traceparent, attributes);
    reply.raw.once('close', () => {
      end(request, reply);
    });
    runInSpan(context.span, done);
  });
  // The body arrives by events of the socket, which do not belong to the request.
  fastify.addHook('preHandler', (request, _reply, done) => {
    runInSpan(getContext(request).span, done);
  });
}

function end(request: FastifyRequest, reply: FastifyReply): void {
  const { span, caller, decision } = getContext(request);
  const { statusCode } = reply;
  const isAnswered = reply.raw.writableFinished;
  if (!span) return;
  endRequestSpan(span, statusCode, {
    'http.response.status_code': statusCode,
    'passkey.outcome': isAnswered && statusCode < 400 ? 'success' : 'failure',
    'passkey.caller': caller?.spiffeId,
    'passkey.permission': decision?.permission,
    'passkey.decision': decision?.outcome,
    ...(!isAnswered && { 'error.type': 'connection-lost' }),
  });
}
