import type { components } from './contract.ts';

type Body = components['schemas']['Problem'];
type SlugOf<Type> = Type extends `urn:passkey-manager:problem:${infer Slug}` ? Slug : never;

/** The problems of the contract, by which a caller decides. A later version of the service may have more. */
export type ProblemSlug = SlugOf<Body['type']>;

const PREFIX = 'urn:passkey-manager:problem:';

/**
 * A reply that is not a success. Decide by `slug` and `reason`, which are closed lists of the contract, never by the
 * text.
 */
export class PasskeyProblem extends Error {
  override readonly name = 'PasskeyProblem';
  readonly status: number;
  /** A slug of the contract; `unexpected` for any other reply, such as the error page of a proxy. */
  readonly slug: ProblemSlug | 'unexpected';
  readonly detail: string | undefined;
  /** Tells a developer what to do about the problem. */
  readonly advice: string | undefined;
  readonly reason: Body['reason'];
  /** With the reason `payment-mismatch`, the member of the client data that differs. */
  readonly member: Body['member'];
  readonly invalid: Body['invalid'];
  readonly signal: Body['signal'];
  /** The id of the request in the service's log and in the audit log. */
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** How often the client has sent the request. After more than once, an earlier try may have succeeded. */
  readonly attempts: number;

  constructor(status: number, body: Partial<Body>, retryAfter: string | null = null, attempts = 1) {
    const slug = body.type?.startsWith(PREFIX) ? body.type.slice(PREFIX.length) : 'unexpected';
    super(describe(status, slug, body));
    this.status = status;
    this.slug = slug as ProblemSlug | 'unexpected';
    this.detail = body.detail;
    this.advice = body.advice;
    this.reason = body.reason;
    this.member = body.member;
    this.invalid = body.invalid;
    this.signal = body.signal;
    this.requestId = body.instance;
    this.retryAfterSeconds = readSeconds(retryAfter);
    this.attempts = attempts;
  }
}

export function parseProblem(
  status: number,
  text: string,
  retryAfter: string | null,
  attempts: number,
): PasskeyProblem {
  try {
    const body: unknown = JSON.parse(text);
    const members = typeof body === 'object' && body !== null ? body : {};
    return new PasskeyProblem(status, members, retryAfter, attempts);
  } catch {
    return new PasskeyProblem(status, { detail: text.slice(0, 200) }, retryAfter, attempts);
  }
}

function describe(status: number, slug: string, { reason, detail, title, invalid }: Partial<Body>): string {
  const members = invalid?.map((member) => `${member.pointer || 'the request'}: ${member.detail}`).join('; ');
  return [`${String(status)} ${slug}`, reason, detail ?? (reason ? undefined : title), members]
    .filter(Boolean)
    .join(': ');
}

/** Reads a `Retry-After` in seconds. A date, which only a proxy sends, counts as absent. */
function readSeconds(text: string | null): number | undefined {
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}
