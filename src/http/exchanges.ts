import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { makeUuidv7 } from '../config/random.js';
import { createMalformedProblem, Problem } from './problem.js';
import { BODY_LIMIT_BYTES } from './json-body.js';

/** The number of a connection's requests that are read before an earlier one is answered. */
export const MAX_READ_AHEAD = 8;
/** How many bytes, and for how long, a client may go on sending after its last answer. */
const MAX_DROPPED_BYTES = 4 * 1_024 * 1_024;
const MAX_LINGER_MS = 5_000;
/** node:http adds this to `keepAliveTimeout`. */
const KEEP_ALIVE_GRACE_MS = 1_000;

const HEAD_END = Buffer.from('\r\n\r\n');
const MEDIA_TYPE = 'application/problem+json; charset=utf-8';
/** The member of a request that holds its id. */
const ID = Symbol('request id');

const connections = new WeakMap<Socket, ConnectionExchanges>();

/**
 * Keeps the exchanges (requests and their answers) of each connection in order. On its own, node:http reads all
 * requests that have arrived, answers an unreadable request before the answers that are due, and closes a connection
 * while its client still sends, so that the client never sees the answer.
 *
 * @param maxLinger how long a client may go on sending after its last answer: milliseconds
 */
export function orderExchanges(fastify: FastifyInstance, maxLinger = MAX_LINGER_MS): void {
  const { server } = fastify;
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections.set(socket, new ConnectionExchanges(socket, server, maxLinger));
  });
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.get(request.socket)?.add(request, response);
  });
  // Without a listener, node:http cuts off the connection, and the answers that are due are lost.
  server.on('connect', ({ socket }: IncomingMessage) => {
    socket.on('error', () => undefined);
    refuseConnection(socket, createMalformedProblem('the CONNECT method is not supported'));
  });
  fastify.addHook('preHandler', ({ raw }, _reply, done) => {
    if (raw.socket.destroyed) done(createMalformedProblem('the connection is closed'));
    else done();
  });
  // The rest of this request would have to be read before the next one.
  fastify.addHook('onSend', ({ raw }, reply, payload, done) => {
    const isShort = Number(raw.headers['content-length']) <= BODY_LIMIT_BYTES;
    if (!raw.complete && !isShort) reply.header('connection', 'close');
    done(null, payload);
  });
}

/**
 * Refuses bytes that are not a request. It answers after the earlier requests of the connection, and then ends the
 * connection. A connection without exchanges, because its TLS handshake failed, ends at once.
 */
export function refuseConnection(socket: Socket, problem?: Problem): void {
  const exchanges = connections.get(socket);
  if (!problem || !exchanges) socket.destroy();
  else exchanges.refuse(problem);
}

/** Gives a request its id. Answers that do not come from Fastify then carry the same id as the log. */
export function assignRequestId(request: IncomingMessage & { [ID]?: string }): string {
  return (request[ID] = makeUuidv7(new Date()));
}

interface Exchange {
  readonly request: IncomingMessage & { [ID]?: string };
  readonly response: ServerResponse;
}

class ConnectionExchanges {
  /** The exchanges that are not answered yet, in order. */
  private readonly open: Exchange[] = [];
  /** The listener of node:http that parses the bytes. */
  private readonly parse: (bytes: Buffer) => void;
  private newest: IncomingMessage | undefined;
  private state: 'reading' | 'refused' | 'ending' = 'reading';
  private waits = false;
  /** True if bytes other than line ends have arrived since the last answer. */
  private speaks = false;
  private dropped = 0;
  private idle: NodeJS.Timeout | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly server: Pick<Server, 'keepAliveTimeout'>,
    private readonly maxLinger: number,
  ) {
    [this.parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    socket.removeListener('data', this.parse);
    socket.on('data', (bytes: Buffer) => {
      if (this.state === 'reading') this.feedParser(bytes);
      else this.dropBytes(bytes);
    });
    socket.once('close', () => {
      clearTimeout(this.idle);
    });
    // node:http calls this after an answer that says `Connection: close`.
    socket.destroySoon = () => {
      this.endGracefully();
    };
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    const exchange = { request, response };
    this.newest = request;
    this.open.push(exchange);
    response.once('close', () => {
      this.open.splice(this.open.indexOf(exchange), 1);
      if (this.open.length === 0) this.limitIdleTime();
      if (this.waits && !this.isFull) this.resumeReading();
    });
  }

  refuse(problem: Problem): void {
    if (this.state !== 'reading') return;
    this.state = 'refused';
    this.socket.pause();
    const last = this.open.at(-1);
    if (!this.socket.writable) this.socket.destroy();
    // A client that is about to send a request would take the problem for its answer.
    else if (!this.speaks) this.endGracefully();
    else if (last && !last.request.complete && !last.response.headersSent) sendProblem(last, problem);
    else if (last) {
      last.response.once('close', () => {
        this.answerAndEnd(problem);
      });
    } else this.answerAndEnd(problem);
  }

  /**
   * Gives the parser one head at a time, because it cannot be stopped between two. The rest goes back to the socket.
   */
  private feedParser(bytes: Buffer): void {
    if (bytes.some(isRequestByte)) {
      this.speaks = true;
      clearTimeout(this.idle);
    }
    for (let at = 0; at < bytes.length && this.state === 'reading';) {
      if (this.isFull || this.socket.isPaused()) {
        this.waits = true;
        this.socket.pause();
        this.socket.unshift(bytes.subarray(at));
        return;
      }
      const end = bytes.indexOf(HEAD_END, at);
      const next = end === -1 ? bytes.length : end + HEAD_END.length;
      this.parse.call(this.socket, bytes.subarray(at, next));
      at = next;
    }
  }

  private resumeReading(): void {
    this.waits = false;
    this.socket.resume();
  }

  /**
   * True if no further request is read now. A body is always read to its end. node:http also pauses the parser while
   * the client does not read its answers.
   */
  private get isFull(): boolean {
    const { _paused: isStopped } = this.socket as Socket & { _paused?: boolean };
    return isStopped === true || (this.open.length >= MAX_READ_AHEAD && this.newest?.complete === true);
  }

  /**
   * Limits the wait for the next request. The limit of node:http starts again with each byte, even of an empty line.
   */
  private limitIdleTime(): void {
    this.speaks = false;
    clearTimeout(this.idle);
    const maxIdle = this.server.keepAliveTimeout + KEEP_ALIVE_GRACE_MS;
    this.idle = setTimeout(() => this.socket.destroy(), maxIdle).unref();
  }

  private answerAndEnd(problem: Problem): void {
    // A request that was answered before its end gets no second answer.
    if (this.newest?.complete !== false) this.socket.write(renderAnswer(problem));
    this.endGracefully();
  }

  /**
   * Ends the sending side, and drops the bytes that the client still sends. If a connection closes before all bytes are
   * read, the kernel can discard the last answer (RFC 9112 §9.6).
   */
  private endGracefully(): void {
    if (this.state === 'ending') return;
    this.state = 'ending';
    const timer = setTimeout(() => this.socket.destroy(), this.maxLinger).unref();
    this.socket.once('close', () => {
      clearTimeout(timer);
    });
    this.socket.end();
    this.resumeReading();
  }

  private dropBytes(bytes: Buffer): void {
    this.dropped += bytes.length;
    if (this.dropped > MAX_DROPPED_BYTES) this.socket.destroy();
  }
}

const isRequestByte = (byte: number): boolean => byte !== 13 && byte !== 10;

function sendProblem({ request, response }: Exchange, problem: Problem): void {
  const body = JSON.stringify(problem.toBody(request[ID] ?? makeUuidv7(new Date())));
  const length = Buffer.byteLength(body);
  response.writeHead(problem.status, { 'content-type': MEDIA_TYPE, 'content-length': length, connection: 'close' });
  response.end(body);
}

/** Renders an answer as bytes, for a socket without a request. */
function renderAnswer(problem: Problem): string {
  const body = JSON.stringify(problem.toBody(makeUuidv7(new Date())));
  const phrase = `${String(problem.status)} ${STATUS_CODES[problem.status] ?? ''}`;
  return (
    `HTTP/1.1 ${phrase}\r\ncontent-type: ${MEDIA_TYPE}\r\n` +
    `content-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`
  );
}

/** True if node:http reports that a request did not arrive in time. */
export function isTimeout({ code }: { readonly code?: string }): boolean {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT';
}

/**
 * Describes a request that the HTTP parser could not read.
 *
 * @returns undefined if HTTP cannot answer, because the handshake failed or the connection broke
 */
export function toUnparsableProblem({ code = '' }: Error & { code?: string }): Problem | undefined {
  if (code === 'HPE_HEADER_OVERFLOW')
    return createTooLargeProblem('there are more than 16 KiB of headers, or more than 64 headers');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return createTooLargeProblem('a chunk has more than 16 KiB of extensions');
  if (isTimeout({ code })) return createMalformedProblem('the request did not arrive in time');
  return code.startsWith('HPE_') ? createMalformedProblem('the request is not HTTP/1.1') : undefined;
}

function createTooLargeProblem(detail: string): Problem {
  return new Problem('request-too-large', { detail });
}
