import { bytesOf } from './base64url.js';
import { Refusal, step } from './verdict.js';

/** What a ceremony expects of its client data. */
export interface ClientDataExpectation {
  readonly type: 'webauthn.create' | 'webauthn.get';
  readonly challenge: Buffer;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
}

interface ClientData {
  readonly type: unknown;
  readonly challenge: unknown;
  readonly origin: unknown;
  readonly crossOrigin?: unknown;
  readonly topOrigin?: unknown;
}

/**
 * WebAuthn L3 §7.1 steps 5-11 and §7.2 steps 9-15.
 *
 * @returns the top origin of a cross-origin ceremony that the policy allows
 * @throws Refusal
 */
export function verifyClientData(encoded: string, expected: ClientDataExpectation): string | undefined {
  const clientData = parse(bytesOf(encoded, 'clientDataJSON'));
  step(clientData.type === expected.type, 'type-mismatch', `type is ${shown(clientData.type)}, not "${expected.type}"`);
  step(
    clientData.challenge === expected.challenge.toString('base64url'),
    'challenge-mismatch',
    'the client data holds another challenge',
  );
  const { origin, crossOrigin, topOrigin } = clientData;
  step(
    typeof origin === 'string' && expected.origins.includes(origin),
    'origin-mismatch',
    `origin is ${shown(origin)}, not one of ${expected.origins.join(', ')}`,
  );
  if (crossOrigin !== true && topOrigin === undefined) return undefined;
  step(crossOrigin === true, 'cross-origin-denied', 'topOrigin is present in a ceremony that is not cross-origin');
  step(expected.crossOrigin.allow, 'cross-origin-denied', 'the ceremony ran in a cross-origin frame');
  step(topOrigin === undefined || typeof topOrigin === 'string', 'malformed', 'topOrigin is no text');
  const { topOrigins } = expected.crossOrigin;
  step(
    topOrigins.length === 0 || (topOrigin !== undefined && topOrigins.includes(topOrigin)),
    'cross-origin-denied',
    `topOrigin is ${shown(topOrigin)}, not one of ${topOrigins.join(', ')}`,
  );
  return topOrigin;
}

function parse(bytes: Buffer): ClientData {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new Refusal('malformed', 'clientDataJSON is not JSON in UTF-8');
  }
  step(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'malformed',
    'clientDataJSON is no object',
  );
  step(!repeatsMember(text), 'malformed', 'clientDataJSON has a member twice');
  const { crossOrigin } = value as ClientData;
  step(crossOrigin === undefined || typeof crossOrigin === 'boolean', 'malformed', 'crossOrigin is not true or false');
  return value as ClientData;
}

/** Whether an object, well-formed as it is, names a member twice: readers disagree on which one counts. */
function repeatsMember(text: string): boolean {
  const names = new Set<unknown>();
  let depth = 0;
  for (const [token, name] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth += 1;
    if (token === ']' || token === '}') depth -= 1;
    if (name === undefined || depth !== 1) continue;
    const member: unknown = JSON.parse(name);
    if (names.has(member)) return true;
    names.add(member);
  }
  return false;
}

/** At most 200 characters of a received value, as JSON. */
function shown(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 200);
}
