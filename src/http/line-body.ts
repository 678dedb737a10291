import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { findEncodingFlaw } from './json-body.js';
import { createMalformedProblem, Problem } from './problem.js';

/*
 * A body of lines of JSON (NDJSON) that is read while it arrives. It may take hours, so neither the limit of a body's bytes nor that
 * of its time holds. Instead each line has a limit, and so has the time between two pieces.
 */

export const NDJSON = 'application/x-ndjson';

interface LineBodyConfig {
  readonly takesLines?: true;
}

/** Marks a route whose body is lines of JSON. */
export const TakesLines = (): MethodDecorator => RouteConfig({ takesLines: true } satisfies LineBodyConfig);

function takesLines({ routeOptions: { config } }: FastifyRequest): boolean {
  return (config as LineBodyConfig).takesLines === true;
}

/** Connections whose present request is read while it arrives. */
const streaming = new WeakSet<Socket>();

/** True if the time limit of node:http does not hold for the present request of a connection. */
export function isStreaming(socket: Socket): boolean {
  return streaming.has(socket);
}

/** Accepts bodies of lines, for the routes that take them. */
export function acceptLineBodies(fastify: FastifyInstance): void {
  fastify.addContentTypeParser(NDJSON, (request, body: IncomingMessage, done) => {
    const flaw = takesLines(request) ? findEncodingFlaw(request) : new Problem('media-type-unsupported');
    if (flaw) {
      done(flaw);
      return;
    }
    const { socket } = body;
    streaming.add(socket);
    body.once('close', () => streaming.delete(socket));
    done(null, body);
  });
}

/** Injects the body of a route that takes lines: `demandLines` has to say if it is one. */
export const LineBody = createParamDecorator(
  (_data: unknown, execution: ExecutionContext): unknown => execution.switchToHttp().getRequest<FastifyRequest>().body,
);

/** @throws Problem media-type-unsupported if the body is something else */
export function demandLines(body: unknown): Readable {
  if (body instanceof IncomingMessage) return body;
  throw new Problem('media-type-unsupported', { detail: `the body must be ${NDJSON}` });
}

/** A line of a body. */
export interface Line {
  /** Counted from 1, or from what the caller says. */
  readonly number: number;
  /** Without the line end; undefined: the line is longer than it may be. */
  readonly bytes: Buffer | undefined;
}

const [LF, CR] = [10, 13];
/** From one piece of the body to the next: milliseconds. */
const PATIENCE_MS = 15_000;
/** At most so many lines are read before those that were read are done with. */
const MOST_LINES = 64;
/** Between so many lines, requests have their turn: nobody judges the empty ones, so they are read at once. */
const LINES_OF_A_TURN = 1_024;

interface LineLimits {
  readonly firstLine: number;
  /** Bytes. */
  readonly maxLine: number;
  /** Ends the wait for a piece. Its reason is the problem. */
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly patience?: number;
}

/**
 * Reads the lines of a body, as many at a time as have arrived. Lines without anything in them are counted, and left out.
 *
 * @throws Problem request-malformed if the body stops arriving
 */
export async function* readLines(
  body: Readable,
  { firstLine, maxLine, signal, patience = PATIENCE_MS }: LineLimits,
): AsyncGenerator<Line[]> {
  let number = firstLine;
  let ready: Line[] = [];
  let begun: Buffer[] = [];
  let size = 0;
  const end = (): void => {
    const bytes = size > maxLine + 1 ? undefined : trimEnd(Buffer.concat(begun));
    if (bytes === undefined || bytes.some((byte) => byte !== 32 && byte !== 9)) {
      ready.push({ number, bytes: bytes && bytes.length > maxLine ? undefined : bytes });
    }
    number += 1;
    begun = [];
    size = 0;
  };
  for await (const chunk of withPatience(body, patience, signal)) {
    for (let at = 0; at < chunk.length;) {
      const stop = chunk.indexOf(LF, at);
      const part = chunk.subarray(at, stop === -1 ? undefined : stop);
      size += part.length;
      // What is too long is not kept.
      if (size <= maxLine + 1) begun.push(part);
      else begun = [];
      if (stop === -1) break;
      end();
      at = stop + 1;
      if (number % LINES_OF_A_TURN === 0) await setImmediate();
      if (ready.length < MOST_LINES) continue;
      yield ready;
      ready = [];
    }
    if (ready.length > 0 && body.readableLength === 0) {
      yield ready;
      ready = [];
    }
  }
  if (size > 0) end();
  if (ready.length > 0) yield ready;
}

function trimEnd(line: Buffer): Buffer {
  return line.at(-1) === CR ? line.subarray(0, -1) : line;
}

/** @throws Problem request-malformed */
async function* withPatience(body: Readable, patience: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  // Its `return` would destroy the body, and the connection with it, before the caller learns why.
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(createMalformedProblem(`no piece of the body arrived within ${String(patience / 1_000)} seconds`));
    }, patience);
    const stop = (): void => {
      late.reject(signal.reason);
    };
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    const piece = await Promise.race([pieces.next(), late.promise]).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    });
    if (piece.done) return;
    yield piece.value;
  }
}
