import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from './refusal.ts';
import type { Session } from './sessions.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly session: Session;
  /** The UUID in the path; empty if the path has none. */
  readonly id: string;
  readonly body: Record<string, unknown>;
}

/**
 * Maps a method and path, such as `POST /api/sign-out`, to a handler. `:id` stands for a UUID. The result is sent as
 * JSON.
 */
export type Routes = Record<string, (exchange: Exchange) => unknown>;

const MAX_BODY_BYTES = 100_000;

export const SECURITY_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'publickey-credentials-get=(self), publickey-credentials-create=(self), payment=(self)',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.method === 'GET') return {};
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw new Refusal(415, 'json-only');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Refusal(413, 'too-large');
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null) return { ...body };
  } catch {
    // The body is not JSON. It is refused below.
  }
  throw new Refusal(400, 'malformed');
}

export function readText(body: Record<string, unknown>, member: string, min: number, max: number): string {
  const value = body[member];
  if (typeof value === 'string' && value.length >= min && value.length <= max) return value;
  throw new Refusal(400, 'malformed', { member, min, max });
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const headers = { ...SECURITY_HEADERS, 'content-type': 'application/json', 'cache-control': 'no-store' };
  response.writeHead(status, headers).end(JSON.stringify(body ?? {}));
}
