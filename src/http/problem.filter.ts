import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { describeDatabaseError, isDatabaseUnavailable } from './database-unavailable.js';
import { describeSpan } from '../telemetry/spans.js';
import { getContext } from './request-context.js';
import { createMalformedProblem, Problem, type ProblemSlug } from './problem.js';

const BY_STATUS: Readonly<Record<number, ProblemSlug>> = {
  404: 'not-found',
  413: 'request-too-large',
  415: 'media-type-unsupported',
};

/** Turns every failure into an answer: a problem (RFC 9457), or a bare 500 that reveals only the request's id. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.render(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  render(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = toProblem(error);
    // A Problem was thrown on purpose. The cause of any other failure goes only to the log.
    if (!problem || (problem.slug === 'unavailable' && problem !== error)) {
      this.logger.error({
        message: 'request failed',
        requestId: request.id,
        ...describeSpan(getContext(request).span),
        ...describeDatabaseError(error),
        error,
      });
    }
    if (problem?.members.retryAfter !== undefined)
      void reply.header('retry-after', Math.ceil(problem.members.retryAfter));
    const body = problem?.toBody(request.id) ?? {
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      instance: request.id,
    };
    void reply
      .status(problem?.status ?? 500)
      .header('content-type', 'application/problem+json; charset=utf-8')
      .send(JSON.stringify(body));
  }
}

function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  const status = error instanceof HttpException ? error.getStatus() : findStatusCode(error);
  if (status === undefined && isDatabaseUnavailable(error)) return new Problem('unavailable', { retryAfter: 1 });
  if (status === undefined || status < 400 || status > 499) return undefined;
  const slug = BY_STATUS[status] ?? 'request-malformed';
  if (slug !== 'request-malformed') return new Problem(slug);
  const { code, message } = error as Error & { code?: unknown };
  // Fastify's message would repeat the path.
  const detail = code === 'FST_ERR_BAD_URL' ? 'the path is not percent-encoded UTF-8' : message;
  return createMalformedProblem(detail);
}

/**
 * Returns the status that Fastify sets on its own errors (body too large, not JSON, wrong media type) and on the error
 * of a connection that broke in the middle of a body. A broken database connection also gives ECONNRESET, but no
 * status.
 */
function findStatusCode(error: unknown): number | undefined {
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (typeof code !== 'string' || typeof statusCode !== 'number') return undefined;
  return code.startsWith('FST_') || code === 'ECONNRESET' ? statusCode : undefined;
}
