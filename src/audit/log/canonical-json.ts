import canonicalize from 'canonicalize';
import { LineFault } from './export-error.js';

const MAX_DEPTH = 64;
const TOKEN = /"(?:[^"\\]+|\\.)*"|-?\d[\d.eE+-]*|[{}[\],]/g;

/** Whether `text`, which was parsed to `value`, is RFC 8785 already, in a tenth of the time that it takes to make it. */
export function isCanonical(text: string, value: unknown): boolean {
  // JSON.stringify escapes a lone surrogate, which RFC 8785 §3.2.2.2 refuses.
  return JSON.stringify(value) === text && !text.includes('\\ud') && isInOrder(value);
}

/**
 * RFC 8785. What is in order already, as most records are, takes a tenth of the time; members that are undefined are none.
 *
 * @throws Error for what has no canonical form, such as a lone surrogate
 */
export function toCanonical(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes('\\ud') || !isInOrder(value) ? canonicalize(value)! : text;
}

/** RFC 8785. @throws LineFault */
export function canonical(value: unknown): string {
  try {
    return toCanonical(value);
  } catch (error) {
    throw new LineFault(`has no canonical form: ${(error as Error).message}`);
  }
}

/**
 * Parses what every reader takes for the same: no name twice in an object, and no number that is rounded or could be
 * written shorter (RFC 7493 §2.2 and §2.3, RFC 8785 §3.2.2.3).
 *
 * @throws LineFault
 */
export function parseUnambiguous(text: string): unknown {
  const value = parseJson(text);
  /** The names of each object that is open; null for an array. */
  const open: (Set<string> | null)[] = [];
  let nameNext = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : null);
    else if (token === '}' || token === ']') open.pop();
    else if (nameNext) addName(open.at(-1)!, token);
    else if (token !== ',' && !token.startsWith('"')) demandCanonicalNumber(token);
    nameNext = (token === '{' || token === ',') && open.at(-1) instanceof Set;
    if (open.length > MAX_DEPTH) throw new LineFault('is nested too deeply');
  }
  return value;
}

/** RFC 8785 §3.2.3: by UTF-16 code units. */
function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  let before: string | undefined;
  // What JSON.parse makes inherits nothing that is enumerable.
  for (const name in value) {
    if (before !== undefined && before >= name) return false;
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (typeof member === 'object' && !isInOrder(member)) return false;
    before = name;
  }
  return true;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new LineFault('is not JSON');
  }
}

function addName(names: Set<string> | null, token: string): void {
  const name = JSON.parse(token) as string;
  if (names?.has(name)) throw new LineFault(`has ${token} twice in one object`);
  names?.add(name);
}

function demandCanonicalNumber(token: string): void {
  if (JSON.stringify(JSON.parse(token)) !== token) throw new LineFault(`has the number ${token.slice(0, 40)}, which is not as RFC 8785 writes it`); // prettier-ignore
}
