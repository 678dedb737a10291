import type { PushAnswer } from '../push/push-sender.js';

/** What becomes of a SET that was pushed. */
export type PushOutcome =
  | { readonly kind: 'accepted' }
  /** The receiver will never take this SET. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs: number | undefined };

/** RFC 8935 §2.4, which RFC 8936 §2.6 refers to. Nothing else that a receiver writes gets into events and metrics. */
export const SET_ERRORS: readonly string[] = [
  'invalid_request',
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'authentication_failed',
  'access_denied',
];

/**
 * Judges the answer of a receiver (RFC 8935 §2.2, §2.3). Only `invalid_request` is about the one SET. The other codes are about
 * keys, names and rights, which somebody can put right, so nothing is lost by them.
 */
export function judgeAnswer({ status, headers, body }: PushAnswer, now: Date): PushOutcome {
  if (status === 202) return { kind: 'accepted' };
  const code = status === 400 ? readErrorCode(body) : undefined;
  if (code === 'invalid_request') return { kind: 'refused', reason: code };
  const retryAfterMs = readRetryAfter(headers['retry-after'], now);
  return { kind: 'failed', reason: code ?? `the receiver answered ${String(status)}`, retryAfterMs };
}

function readErrorCode(body: string): string | undefined {
  try {
    const { err } = JSON.parse(body) as { err?: unknown };
    return SET_ERRORS.find((code) => code === err);
  } catch {
    return undefined;
  }
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function readRetryAfter(value: string | string[] | undefined, now: Date): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now.getTime();
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}
