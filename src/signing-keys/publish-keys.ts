import { hash } from 'node:crypto';
import { HttpStatus } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SigningKey } from './read-signing-keys.js';

/** Seconds. Whoever replaces a key waits so long between its steps (docs/runbook.md). */
const MAX_AGE = 300;

/** The public keys as a JWK set (RFC 7517 §5), with its entity tag (RFC 9110 §8.8.3). */
export interface PublishedKeys {
  readonly body: string;
  readonly etag: string;
}

export function publishKeys(keys: readonly SigningKey[]): PublishedKeys {
  const body = JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
  return { body, etag: `"${hash('sha256', body, 'base64url')}"` };
}

/** Answers a request for the key set. @returns undefined if the caller has the set */
export function answerKeySet(
  { body, etag }: PublishedKeys,
  request: FastifyRequest,
  reply: FastifyReply,
): string | undefined {
  void reply.headers({
    'content-type': 'application/jwk-set+json',
    'cache-control': `public, max-age=${String(MAX_AGE)}`,
    etag,
  });
  if (!matches(request.headers['if-none-match'], etag)) return body;
  void reply.status(HttpStatus.NOT_MODIFIED);
  return undefined;
}

/** Compares entity tags weakly (RFC 9110 §13.1.2). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return known.includes(etag) || known.includes('*');
}
