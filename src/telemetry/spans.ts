import { AsyncLocalStorage } from 'node:async_hooks';
import type * as Api from '@opentelemetry/api';
import type { Attributes, Span, SpanContext, SpanOptions, Tracer } from '@opentelemetry/api';

/*
 * Spans of requests and of the work in them. Until `useTracing` is called, no package of OpenTelemetry is loaded, and each
 * function here is one comparison. Attributes and events hold names of the service's own: never an id of a user or of a
 * credential, a path, a query or the message of an error.
 */

export interface Tracing {
  readonly api: Pick<typeof Api, 'trace' | 'ROOT_CONTEXT' | 'SpanKind' | 'SpanStatusCode'>;
  readonly tracer: Tracer;
  /** Reads a header of W3C trace context. @returns null if it is malformed */
  readonly parseTraceParent: (header: string) => SpanContext | null;
}

let tracing: Tracing | undefined;
const active = new AsyncLocalStorage<Span>();

/** @param next undefined: no further span begins */
export function useTracing(next: Tracing | undefined): void {
  tracing = next;
}

export function isTracing(): boolean {
  return tracing !== undefined;
}

/**
 * Begins the span of a request. A malformed `traceparent` is as good as none. `tracestate` is not read: it is the caller's
 * own text, and would leave the service with the span.
 */
export function startRequestSpan(
  name: string,
  traceParent: string | string[] | undefined,
  attributes: Attributes,
): Span | undefined {
  if (!tracing) return undefined;
  const { trace, ROOT_CONTEXT, SpanKind } = tracing.api;
  const parent = typeof traceParent === 'string' ? tracing.parseTraceParent(traceParent) : null;
  const context = parent ? trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true }) : ROOT_CONTEXT;
  return tracing.tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, context);
}

/** Ends the span of a request. Only a failure of the service itself is an error of its span. */
export function endRequestSpan(span: Span, status: number, attributes: Attributes): void {
  span.setAttributes(attributes);
  if (status >= 500 && tracing) span.setStatus({ code: tracing.api.SpanStatusCode.ERROR });
  span.end();
}

/** @returns the members of a log line that lead to a span */
export function describeSpan(span: Span | undefined): { traceId?: string; spanId?: string } {
  if (!span) return {};
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}

/** Runs a function so that spans that begin in it, or in what it calls later, are children of the given one. */
export function runInSpan(span: Span | undefined, run: () => void): void {
  if (span?.isRecording()) active.run(span, run);
  else run();
}

/** @returns undefined if nothing is traced, or if the request that runs is not in the sample */
export function startSpan(name: string, attributes: Attributes = {}, options: SpanOptions = {}): Span | undefined {
  const parent = tracing && active.getStore();
  if (!tracing || !parent?.isRecording()) return undefined;
  const context = tracing.api.trace.setSpan(tracing.api.ROOT_CONTEXT, parent);
  return tracing.tracer.startSpan(name, { ...options, attributes }, context);
}

/** Begins the span of a call to another system. */
export function startCallSpan(name: string, attributes: Attributes): Span | undefined {
  return tracing && startSpan(name, attributes, { kind: tracing.api.SpanKind.CLIENT });
}

/** Ends a span with the outcome of its work. @param error undefined: the work succeeded */
export function endSpan(span: Span | undefined, error?: unknown): void {
  if (!span) return;
  if (error === undefined) span.setAttribute('passkey.outcome', 'success');
  else {
    span.setAttributes({ 'passkey.outcome': 'failure', 'error.type': nameError(error) });
    if (!isRefusal(error) && tracing) span.setStatus({ code: tracing.api.SpanStatusCode.ERROR });
  }
  span.end();
}

/** Runs work in a span of its own, if the request that runs is traced. */
export async function inSpan<Result>(
  name: string,
  attributes: Attributes,
  run: () => Promise<Result>,
): Promise<Result> {
  const span = startSpan(name, attributes);
  if (!span) return run();
  try {
    const result = await active.run(span, run);
    endSpan(span);
    return result;
  } catch (error) {
    endSpan(span, error);
    throw error;
  }
}

/** Notes on the span that runs that something has happened. */
export function addSpanEvent(name: string, attributes: Attributes): void {
  if (!tracing) return;
  const span = active.getStore();
  if (span?.isRecording()) span.addEvent(name, attributes);
}

/** A problem names itself by its reason or its slug, and an error of PostgreSQL or of Node by its code. */
interface Named {
  readonly slug?: string;
  readonly status?: number;
  readonly members?: { readonly reason?: string };
  readonly code?: unknown;
}

function nameError(error: unknown): string {
  const { members, slug, code } = (error ?? {}) as Named;
  const name = members?.reason ?? slug ?? code;
  if (typeof name === 'string') return name;
  return error instanceof Error ? error.name : typeof error;
}

function isRefusal(error: unknown): boolean {
  const { slug, status = 500 } = (error ?? {}) as Named;
  return slug !== undefined && status < 500;
}
