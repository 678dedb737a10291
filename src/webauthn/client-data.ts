import { step, Refusal, refuseUnless } from './refusal.js';

/** The values that a ceremony expects in its client data. */
export interface ClientDataExpectation {
  readonly type: 'webauthn.create' | 'webauthn.get' | 'payment.get';
  readonly challenge: Buffer;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
}

/** CollectedClientData (WebAuthn L3 §5.8.1) before it is verified. A crossOrigin or topOrigin of null counts as absent. */
interface ReceivedClientData {
  readonly type: unknown;
  readonly challenge: unknown;
  readonly origin: unknown;
  readonly crossOrigin?: unknown;
  readonly topOrigin?: unknown;
  /** The member that Secure Payment Confirmation adds (SPC §5.1). */
  readonly payment?: unknown;
}

/** Client data whose members of WebAuthn are verified. */
export interface ClientData {
  /** The bytes that the authenticator signed the hash of. */
  readonly bytes: Buffer;
  readonly origin: string;
  /** The ceremony ran in a frame of another origin. */
  readonly crossOrigin: boolean;
  /** The top origin of a cross-origin ceremony that the policy allows. */
  readonly topOrigin: string | undefined;
  /** As it was received. */
  readonly payment: unknown;
}

/** The number of the first of the seven steps that both ceremonies have for client data, in the same order. */
const SECTIONS = {
  'webauthn.create': { section: '§7.1', first: 5 },
  'webauthn.get': { section: '§7.2', first: 8 },
  // SPC §9.1 step 2 changes the expected values, but not the order of the steps.
  'payment.get': { section: '§7.2', first: 8 },
} as const;

/**
 * Verifies the client data: WebAuthn L3 §7.1 steps 5-11 and §7.2 steps 8-14.
 *
 * @throws Refusal
 */
export function verifyClientData(encoded: string, expected: ClientDataExpectation): ClientData {
  const { section, first } = SECTIONS[expected.type];
  const [bytes, text] = step(section, first, () => {
    const decoded = decodeBase64url(encoded, 'clientDataJSON');
    return [decoded, decodeUtf8(decoded)];
  });
  const received = step(section, first + 1, () => parseClientData(text));
  const { type, challenge, origin, crossOrigin, topOrigin, payment } = received;
  step(section, first + 2, () => {
    refuseUnless(type === expected.type, 'type-mismatch', `type is ${quoteReceived(type)}, not "${expected.type}"`);
  });
  step(section, first + 3, () => {
    const issued = expected.challenge.toString('base64url');
    refuseUnless(
      challenge === issued,
      'challenge-mismatch',
      'the answer is for another challenge than the one with this challengeId',
    );
  });
  step(section, first + 4, () => {
    refuseUnless(
      expected.origins.includes(origin as string),
      'origin-mismatch',
      describeOrigin('origin', origin, expected.origins, expected.type),
    );
  });
  step(section, first + 5, () => {
    refuseUnless(
      crossOrigin !== true || expected.crossOrigin.allow,
      'cross-origin-denied',
      'the ceremony ran in a cross-origin frame, which the policy does not allow',
    );
  });
  step(section, first + 6, () => {
    verifyTopOrigin(crossOrigin === true, topOrigin, expected);
  });
  return {
    bytes,
    origin: origin as string,
    crossOrigin: crossOrigin === true,
    topOrigin: topOrigin as string | undefined,
    payment,
  };
}

function verifyTopOrigin(
  crossOrigin: boolean,
  topOrigin: unknown,
  { type, crossOrigin: { topOrigins: allowed } }: Pick<ClientDataExpectation, 'type' | 'crossOrigin'>,
): void {
  if (!crossOrigin) {
    refuseUnless(
      topOrigin === undefined,
      'cross-origin-denied',
      'the client data has a topOrigin, but the ceremony did not run in a cross-origin frame',
    );
    return;
  }
  refuseUnless(topOrigin === undefined || typeof topOrigin === 'string', 'malformed', 'topOrigin is not a string');
  refuseUnless(
    allowed.length === 0 || (topOrigin !== undefined && allowed.includes(topOrigin)),
    'cross-origin-denied',
    describeOrigin('topOrigin', topOrigin, allowed, type),
  );
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(bytes: Buffer): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw new Refusal('malformed', 'clientDataJSON is not JSON in UTF-8');
  }
}

function parseClientData(text: string): ReceivedClientData {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('malformed', 'clientDataJSON is not JSON in UTF-8');
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  refuseUnless(isObject, 'malformed', 'clientDataJSON is not a JSON object');
  refuseUnless(!hasRepeatedMember(text, value), 'malformed', 'clientDataJSON names a member twice');
  const { crossOrigin: framed, topOrigin: top, ...members } = value as ReceivedClientData;
  const [crossOrigin, topOrigin] = [framed ?? undefined, top ?? undefined];
  refuseUnless(
    crossOrigin === undefined || typeof crossOrigin === 'boolean',
    'malformed',
    'crossOrigin is not true or false',
  );
  return { ...members, crossOrigin, topOrigin };
}

/**
 * Tells if well-formed JSON names a member twice, because readers disagree on which one counts. Each written member has
 * a colon outside of strings, and the parser keeps only the last member of a name.
 */
function hasRepeatedMember(text: string, value: unknown): boolean {
  const written = text.replace(/"(?:[^"\\]|\\.)*"/gs, '').split(':').length - 1;
  let members = 0;
  const values = [value];
  for (const one of values) {
    if (typeof one !== 'object' || one === null) continue;
    const inner: unknown[] = Object.values(one);
    if (!Array.isArray(one)) members += inner.length;
    values.push(...inner);
  }
  return members < written;
}

/** Where a user pays belongs in no log, so a payment's origins are not quoted. */
function describeOrigin(
  member: string,
  received: unknown,
  expected: readonly string[],
  type: ClientDataExpectation['type'],
): string {
  return type === 'payment.get'
    ? `${member} is none of those that the payment was asked for with`
    : `${member} is ${quoteReceived(received)}, not one of ${expected.join(', ')}`;
}

/** A received value as JSON, at most 200 characters. */
function quoteReceived(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 200);
}

/**
 * Decodes base64url without padding. It is strict: no other characters and no stray bits (RFC 4648 §5 and §3.5).
 *
 * @throws Refusal malformed
 */
export function decodeBase64url(encoded: string, member: string): Buffer {
  const bytes = Buffer.from(encoded, 'base64url');
  refuseUnless(bytes.toString('base64url') === encoded, 'malformed', `${member} is not base64url`);
  return bytes;
}
