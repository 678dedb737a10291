import type { components } from './contract.ts';

type Body = components['schemas']['Problem'];

const PREFIX = 'urn:passkey-manager:problem:';

/** Every reply that is not a success. `slug` and `reason` are the closed lists of the contract; decide by them, never by the text. */
export class PasskeyProblem extends Error {
  override readonly name = 'PasskeyProblem';
  readonly status: number;
  /** `unexpected` for a reply that is none of the contract's problems, such as a proxy's error page. */
  readonly slug: string;
  readonly detail: string | undefined;
  /** Says what to do about it, for a developer to read. */
  readonly advice: string | undefined;
  readonly reason: Body['reason'];
  readonly invalid: Body['invalid'];
  readonly signal: Body['signal'];
  /** Finds the request in the service's log and audit trail. */
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, body: Partial<Body>, retryAfter: string | null = null) {
    const slug = body.type?.startsWith(PREFIX) ? body.type.slice(PREFIX.length) : 'unexpected';
    super([`${String(status)} ${slug}`, body.reason ?? body.detail ?? body.title].filter(Boolean).join(': '));
    this.status = status;
    this.slug = slug;
    this.detail = body.detail;
    this.advice = body.advice;
    this.reason = body.reason;
    this.invalid = body.invalid;
    this.signal = body.signal;
    this.requestId = body.instance;
    this.retryAfterSeconds = retryAfter === null ? undefined : Number(retryAfter);
  }
}

export function parseProblem(status: number, text: string, retryAfter: string | null): PasskeyProblem {
  try {
    const body: unknown = JSON.parse(text);
    return new PasskeyProblem(status, typeof body === 'object' && body !== null ? body : {}, retryAfter);
  } catch {
    return new PasskeyProblem(status, { detail: text.slice(0, 200) }, retryAfter);
  }
}
