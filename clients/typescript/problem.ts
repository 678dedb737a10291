import type { components } from './contract.ts';

type Body = components['schemas']['Problem'];

const PREFIX = 'urn:passkey-manager:problem:';

/**
 * A reply that is not a success. Decide by `slug` and `reason`, which are closed lists of the contract, never by the
 * text.
 */
export class PasskeyProblem extends Error {
  override readonly name = 'PasskeyProblem';
  readonly status: number;
  /** A slug of the contract; `unexpected` for any other reply, such as the error page of a proxy. */
  readonly slug: string;
  readonly detail: string | undefined;
  /** Tells a developer what to do about the problem. */
  readonly advice: string | undefined;
  readonly reason: Body['reason'];
  readonly invalid: Body['invalid'];
  readonly signal: Body['signal'];
  /** The id of the request in the service's log and in the audit log. */
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
