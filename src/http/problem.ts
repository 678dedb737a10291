/** Every way in which a request can fail on purpose. ProblemFilter renders them; docs/problems.md documents them. */
export const PROBLEMS = {
  'request-malformed': { status: 400, title: 'The request does not match the contract' },
  'caller-unidentified': { status: 401, title: 'The client certificate is not a valid service identity' },
  'permission-denied': { status: 403, title: 'The caller lacks the permission' },
  'relying-party-denied': { status: 403, title: 'The caller may not act for this relying party' },
  'approval-denied': { status: 403, title: 'The caller may not decide its own request' },
  'relying-party-unknown': { status: 404, title: 'There is no such relying party' },
  'credential-unknown': { status: 404, title: 'There is no such credential' },
  'event-unknown': { status: 404, title: 'There is no such audit event' },
  'approval-unknown': { status: 404, title: 'There is no such request for an approval' },
  'signals-not-configured': { status: 404, title: 'The service tells nobody of changes' },
  'stream-unknown': { status: 404, title: 'The caller has no such stream' },
  'not-found': { status: 404, title: 'There is no such resource' },
  'challenge-spent': { status: 409, title: 'The challenge was never issued, has expired or was already used' },
  'credential-exists': { status: 409, title: 'The credential is already registered' },
  'credential-state': { status: 409, title: 'The credential is in a state that does not allow this' },
  'import-conflict': { status: 409, title: 'What is stored says otherwise' },
  'relying-party-conflict': { status: 409, title: 'The relying party has changed since it was read' },
  'stream-limit': { status: 409, title: 'The caller has as many streams as it may have' },
  'approval-state': { status: 409, title: 'The request for an approval can no longer be decided' },
  'request-too-large': { status: 413, title: 'The request is too large' },
  'media-type-unsupported': { status: 415, title: 'The body must be uncompressed application/json in UTF-8' },
  'registration-rejected': { status: 422, title: 'The registration was refused' },
  'authentication-rejected': { status: 422, title: 'The authentication was refused' },
  'policy-rejected': { status: 422, title: "The relying party's policy forbids this" },
  'receipts-not-configured': { status: 422, title: 'The service has no key to sign receipts' },
  'rate-limited': { status: 429, title: "The requests exceed the caller's grant or the user's limits" },
  unavailable: { status: 503, title: 'Nothing was changed; the service cannot write right now' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemSlug = keyof typeof PROBLEMS;

/** A wrong member of the request. `pointer` is an RFC 6901 JSON pointer; a parameter is `/name`. */
export interface InvalidMember {
  readonly pointer: string;
  readonly detail: string;
}

/** The members of a problem besides its type, title and status (RFC 9457 §3.2 extension members, and `detail`). */
export interface ProblemMembers {
  readonly detail?: string;
  readonly reason?: string;
  /** The member of a payment that differs from what was expected. */
  readonly member?: string;
  /** Says what the caller can do about it. */
  readonly advice?: string;
  readonly invalid?: readonly InvalidMember[];
  /** An argument for the browser's WebAuthn Signal API. */
  readonly signal?: { readonly unknownCredential: { readonly rpId: string; readonly credentialId: string } };
  /** Seconds; sent as the Retry-After header, not in the body. */
  readonly retryAfter?: number;
}

/** Fields, not parameter properties: tools run this file in plain Node, which does not support parameter properties. */
export class Problem extends Error {
  readonly slug: ProblemSlug;
  readonly members: ProblemMembers;
  readonly status: number;

  constructor(slug: ProblemSlug, members: ProblemMembers = {}) {
    super(members.detail ?? PROBLEMS[slug].title);
    this.name = 'Problem';
    this.slug = slug;
    this.members = members;
    this.status = PROBLEMS[slug].status;
  }

  /** Builds the RFC 9457 body. */
  toBody(requestId: string): Record<string, unknown> {
    const { retryAfter, ...members } = this.members;
    const { status, title } = PROBLEMS[this.slug];
    return { type: `urn:passkey-manager:problem:${this.slug}`, title, status, ...members, instance: requestId };
  }
}

/** Makes the problem of a request with one wrong part. The pointer of the request as a whole is empty. */
export function createMalformedProblem(detail: string, pointer = ''): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer, detail }] });
}

const MAX_NAME = 256;

/**
 * Builds the RFC 6901 pointer of a member of the object at `parent`. Only the beginning of a very long name is used.
 */
export function appendPointer(parent: string, name: string): string {
  return `${parent}/${name.slice(0, MAX_NAME).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
