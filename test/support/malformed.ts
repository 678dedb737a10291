import { expect } from '@jest/globals';
import type { Problem } from './bodies.js';
import type { Answer } from './client.js';

/** Ways to break a JSON body, one member at a time. */

export interface Leaf {
  /** The member's JSON pointer (RFC 6901). */
  readonly pointer: string;
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Lists every member of a body, with those of inner objects. An array counts as one member. */
export function listLeaves(body: unknown, path: (string | number)[] = []): Leaf[] {
  if (!isObject(body)) return [];
  return Object.entries(body).flatMap(([name, value]) => {
    const own = [...path, name];
    return [{ pointer: `/${own.join('/')}`, path: own, value }, ...listLeaves(value, own)];
  });
}

export function replaceAt(body: unknown, path: readonly (string | number)[], value: unknown): Record<string, unknown> {
  const copy = structuredClone(body) as Record<string | number, unknown>;
  let place = copy;
  for (const name of path.slice(0, -1)) place = place[name] as Record<string | number, unknown>;
  const last = path.at(-1) ?? '';
  if (value === undefined) Reflect.deleteProperty(place, last);
  else place[last] = value;
  return copy;
}

const SAMPLES: Record<string, unknown> = {
  null: null,
  boolean: true,
  number: 1.5,
  string: '\u0001',
  array: [{}],
  object: { surprise: true },
};

const findKind = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

/** Values of every other JSON type. */
export function listMistyped(value: unknown): [string, unknown][] {
  return Object.entries(SAMPLES).filter(([kind]) => kind !== findKind(value));
}

/** Strings that every member must refuse. */
export const FOUL_STRINGS: [string, string][] = [
  ['a NUL character', 'a\u0000b'],
  ['a lone surrogate', 'a\ud800b'],
  ['nothing', ''],
  ['60,000 characters', 'a'.repeat(60_000)],
];

/** Writes `{"a":{"a":…}}`, too deep for a recursive reader. */
export function nest(depth: number, open = '{"a":', close = '}', core = '1'): string {
  return open.repeat(depth) + core + close.repeat(depth);
}

/** The answer that refuses a member: 400, as problem+json, with the member's pointer. */
export function expectInvalid(answer: Answer<Problem>, pointer: string, what: string): void {
  const pointers = (answer.body.invalid ?? []).map((invalid) => invalid.pointer);
  const named = pointers.some((found) => found === pointer || found.startsWith(`${pointer}/`));
  const told = { what, status: answer.status, named, ...(named ? {} : { pointers }) };
  expect(told).toEqual({ what, status: 400, named: true });
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
}
