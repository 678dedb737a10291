import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { databaseUnavailable } from './database-unavailable.js';
import { Problem, type ProblemSlug } from './problem.js';

const BY_STATUS: Readonly<Record<number, ProblemSlug>> = {
  404: 'not-found',
  413: 'request-too-large',
  415: 'media-type-unsupported',
};

/** The one place where a failure becomes an answer: RFC 9457, or a bare 500 that tells nothing but the request's id. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.render(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  render(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = problemOf(error);
    // A Problem was thrown on purpose; what is behind any other failure is for the log alone.
    if (!problem || (problem.slug === 'unavailable' && problem !== error)) {
      this.logger.error({ message: 'request failed', requestId: request.id, error: describe(error) });
    }
    if (problem?.members.retryAfter !== undefined)
      void reply.header('retry-after', Math.ceil(problem.members.retryAfter));
    const body = problem?.body(request.id) ?? {
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

function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  const status = error instanceof HttpException ? error.getStatus() : statusCodeOf(error);
  if (status === undefined && databaseUnavailable(error)) return new Problem('unavailable', { retryAfter: 1 });
  if (status === undefined || status < 400 || status > 499) return undefined;
  const slug = BY_STATUS[status] ?? 'request-malformed';
  if (slug !== 'request-malformed') return new Problem(slug);
  const { code, message } = error as Error & { code?: unknown };
  // Fastify repeats the path in its message.
  const detail = code === 'FST_ERR_BAD_URL' ? 'the path is not percent-encoded UTF-8' : message;
  return new Problem(slug, { invalid: [{ pointer: '', detail }] });
}

/**
 * Fastify's own errors (body too large, not JSON, wrong media type) carry the status that they mean, and so does what it
 * makes of a connection that broke in the middle of a body. That of a database carries none.
 */
function statusCodeOf(error: unknown): number | undefined {
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (typeof code !== 'string' || typeof statusCode !== 'number') return undefined;
  return code.startsWith('FST_') || code === 'ECONNRESET' ? statusCode : undefined;
}

function describe(error: unknown): unknown {
  return error instanceof Error ? { name: error.name, message: error.message, stack: error.stack } : error;
}
