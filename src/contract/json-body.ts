import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';
import { pointerOf } from './json-pointer.js';

export const BODY_LIMIT_BYTES = 65_536;

/** The deepest value of the contract is at 6; browsers may nest extension results further. */
const MAX_DEPTH = 16;

/** Bodies are JSON in UTF-8, uncompressed, and no deeper than the contract has use for. */
export function acceptJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      const { 'content-encoding': encoding, 'content-type': mediaType = '' } = request.headers;
      if (/;\s*charset=(?!"?utf-8"?\s*(;|$))/i.test(mediaType)) {
        done(new Problem('media-type-unsupported', { detail: 'JSON is taken in UTF-8' }));
        return;
      }
      if (encoding !== undefined && encoding !== 'identity') {
        done(new Problem('media-type-unsupported', { detail: 'compressed bodies are not taken' }));
        return;
      }
      const text = decode(body as Buffer);
      if (text === undefined) {
        done(malformed('is not UTF-8'));
      } else if (deeperThan(text, MAX_DEPTH)) {
        done(malformed(`is nested deeper than ${String(MAX_DEPTH)} levels`));
      } else {
        void parseJson(request, text, (error, value) => {
          const pointer = inheritedMember(value);
          if (pointer === undefined) done(error, value);
          else done(malformed('is not a member that the contract knows', pointer));
        });
      }
    },
  );
}

function decode(body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}

/** Counts brackets outside of strings, so that a deep text is refused before anything recurses into it. */
function deeperThan(text: string, max: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') quoted = !quoted;
    else if (quoted && character === '\\') at += 1;
    else if (quoted) continue;
    else if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    if (depth > max) return true;
  }
  return false;
}

/** The pointer of a member named as one that every object inherits: class-transformer drops it, so no one could refuse it. */
function inheritedMember(value: unknown, pointer = ''): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const own = pointerOf(pointer, name);
    const found = name in Object.prototype ? own : inheritedMember(member, own);
    if (found !== undefined) return found;
  }
  return undefined;
}

function malformed(detail: string, pointer = ''): Problem {
  return new Problem('request-malformed', {
    invalid: [{ pointer, detail: pointer === '' ? `the body ${detail}` : detail }],
  });
}
