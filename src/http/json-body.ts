import type { FastifyInstance } from 'fastify';
import { appendPointer, createMalformedProblem, Problem } from './problem.js';

export const BODY_LIMIT_BYTES = 65_536;

/** The deepest value of the contract is at level 6. Browsers may nest extension results deeper. */
const MAX_DEPTH = 16;

/**
 * Accepts bodies that are JSON in UTF-8, uncompressed, at most MAX_DEPTH levels deep, and without duplicate members. A
 * DELETE has no body, but may have a media type, because many clients send one.
 */
export function acceptJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const parseJson = fastify.getDefaultJsonParser('ignore', 'ignore');
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      if (request.method === 'DELETE' && body.length === 0) {
        done(null);
        return;
      }
      const { 'content-encoding': encoding, 'content-type': mediaType = '' } = request.headers;
      if (/;\s*charset=(?!"?utf-8"?\s*(;|$))/i.test(mediaType)) {
        done(new Problem('media-type-unsupported', { detail: 'the charset must be UTF-8' }));
        return;
      }
      if (encoding !== undefined && encoding !== 'identity') {
        done(new Problem('media-type-unsupported', { detail: 'the body must not be compressed' }));
        return;
      }
      const text = decodeUtf8(body as Buffer);
      if (text === undefined) {
        done(createMalformedProblem('the body is not UTF-8'));
        return;
      }
      const written = countWrittenMembers(text);
      if (written === undefined) {
        done(createMalformedProblem(`the body is nested deeper than ${String(MAX_DEPTH)} levels`));
        return;
      }
      void parseJson(request, text, (error, value) => {
        done(error ?? findFlaw(value, written), value);
      });
    },
  );
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(body: Buffer): string | undefined {
  try {
    return UTF_8.decode(body);
  } catch {
    return undefined;
  }
}

const [QUOTE, BACKSLASH, COLON] = ['"', '\\', ':'].map((character) => character.charCodeAt(0)) as [
  number,
  number,
  number,
];
const OPENING = new Set(Array.from('[{', (character) => character.charCodeAt(0)));
const CLOSING = new Set(Array.from(']}', (character) => character.charCodeAt(0)));

/**
 * Counts the members of a JSON text by the colons outside strings. It also follows the brackets, so that a deep text is
 * refused before any function recurses into it.
 *
 * @returns undefined if the text is deeper than MAX_DEPTH
 */
function countWrittenMembers(text: string): number | undefined {
  let members = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) at = findStringEnd(text, at);
    else if (character === COLON) members += 1;
    else if (OPENING.has(character)) depth += 1;
    else if (CLOSING.has(character)) depth -= 1;
    if (depth > MAX_DEPTH) return undefined;
  }
  return members;
}

/** Finds the closing quote of the string that begins at `start`; without one, the end of the text. */
function findStringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

const INHERITED = 'is not a member of the contract, and has a name that every JavaScript object inherits';

function findFlaw(value: unknown, written: number): Problem | null {
  const path = findInheritedMember(value);
  if (path !== undefined) return createMalformedProblem(INHERITED, path.reduce(appendPointer, ''));
  return countParsedMembers(value) < written ? createMalformedProblem('the body names a member twice') : null;
}

/**
 * Counts the members of a parsed value. The parser keeps one of several members with the same name, so fewer than in
 * the text means a duplicate.
 */
function countParsedMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const members = Object.values(value);
  return members.reduce<number>(
    (sum, member) => sum + countParsedMembers(member),
    Array.isArray(value) ? 0 : members.length,
  );
}

/**
 * Finds the path to a member with an inherited name, such as `constructor`, in the answers of browsers, too.
 * class-transformer drops it before validation.
 */
export function findInheritedMember(value: unknown): string[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const within = name in Object.prototype ? [] : findInheritedMember(member);
    if (within !== undefined) return [name, ...within];
  }
  return undefined;
}
