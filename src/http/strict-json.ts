import { appendPointer, createMalformedProblem, type Problem } from './problem.js';

/** The deepest value of the contract is at level 6. Browsers may nest extension results deeper. */
const MAX_DEPTH = 16;

/**
 * Parses JSON in UTF-8 that is at most MAX_DEPTH levels deep and names no member twice.
 *
 * @param what names it in a problem: `the body`
 * @throws Problem request-malformed
 */
export function parseStrictJson(bytes: Buffer, what: string): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw createMalformedProblem(`${what} is not UTF-8`);
  const written = countWrittenMembers(text);
  if (written === undefined) throw createMalformedProblem(`${what} is nested deeper than ${String(MAX_DEPTH)} levels`);
  const value = parse(text, what);
  const flaw = findFlaw(value, written, what);
  if (flaw) throw flaw;
  return value;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw createMalformedProblem(`${what} is not JSON`);
  }
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

function findFlaw(value: unknown, written: number, what: string): Problem | null {
  const path = findInheritedMember(value);
  if (path !== undefined) return createMalformedProblem(INHERITED, path.reduce(appendPointer, ''));
  return countParsedMembers(value) < written ? createMalformedProblem(`${what} names a member twice`) : null;
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
