import type { Socket } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import { Problem } from './problem.js';

/** Answers what the HTTP parser could not read: no request exists then, only a socket. */
export function answerUnparsable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const detail =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'the request did not arrive in time' : 'it is not HTTP/1.1';
  const problem = tooLarge
    ? new Problem('request-too-large', { detail: 'the headers are over 16 KiB' })
    : new Problem('request-malformed', { invalid: [{ pointer: '', detail }] });
  const body = JSON.stringify(problem.body(uuidv7()));
  const phrase = tooLarge ? '413 Content Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${phrase}\r\ncontent-type: application/problem+json; charset=utf-8\r\n` +
      `content-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`,
  );
}
