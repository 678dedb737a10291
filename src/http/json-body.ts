import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.js';
import { parseStrictJson } from './strict-json.js';

export const BODY_LIMIT_BYTES = 65_536;

/**
 * Accepts uncompressed bodies that are strict JSON (strict-json.ts). A DELETE has no body, but may have a media type, because many clients send one.
 */
export function acceptJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      if (request.method === 'DELETE' && body.length === 0) {
        done(null);
        return;
      }
      const flaw = findEncodingFlaw(request);
      if (flaw) {
        done(flaw);
        return;
      }
      let value: unknown;
      try {
        value = parseStrictJson(body as Buffer, 'the body');
      } catch (error) {
        done(error as Error);
        return;
      }
      done(null, value);
    },
  );
}

/** Finds why a body is not plain UTF-8, by the head of its request. */
export function findEncodingFlaw({ headers }: Pick<FastifyRequest, 'headers'>): Problem | undefined {
  const { 'content-encoding': encoding, 'content-type': mediaType = '' } = headers;
  if (/;\s*charset=(?!"?utf-8"?\s*(;|$))/i.test(mediaType))
    return new Problem('media-type-unsupported', { detail: 'the charset must be UTF-8' });
  return encoding === undefined || encoding === 'identity'
    ? undefined
    : new Problem('media-type-unsupported', { detail: 'the body must not be compressed' });
}
