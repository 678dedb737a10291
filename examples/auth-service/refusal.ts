import { PasskeyProblem, PasskeyTransportError } from '@passkey-manager/client';

/** A refused request, as the page receives it. The page decides by `code`. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, code: string, members: Record<string, unknown> = {}) {
    super(code);
    this.status = status;
    this.body = { code, ...members };
  }
}

/** Passes on problems that concern the user. Problems between the two services go only to the log. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof PasskeyProblem) {
    const { status, slug: code, reason, member, signal, requestId, retryAfterSeconds } = error;
    if ([404, 409, 422, 429].includes(status)) {
      return new Refusal(status, code, { reason, member, signal, requestId, retryAfterSeconds });
    }
    if (status === 503) return new Refusal(503, 'passkeys-unavailable', { requestId });
    console.error(`Passkey Manager refused the request: ${error.message} (${requestId ?? 'no request id'})`);
    return new Refusal(502, 'passkeys-refused', { requestId });
  }
  if (error instanceof PasskeyTransportError) {
    console.error(`Passkey Manager cannot be reached: ${error.message}`);
    return new Refusal(503, 'passkeys-unreachable');
  }
  console.error(error);
  return new Refusal(500, 'unexpected');
}
