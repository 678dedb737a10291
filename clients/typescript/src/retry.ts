import { PasskeyProblem } from './problem.ts';
import { PasskeyTransportError, type TransportFault } from './transport-error.ts';

/**
 * When a request may be sent again, as the contract has it:
 *
 * - `always`: it has the same effect the second time. Reading, renaming, `PUT`, erasing, a request for a challenge.
 * - `when-unchanged`: after the service has said that it changed nothing. The answer to a challenge, which has one outcome.
 * - `when-not-begun`: after the service has certainly not begun. A change of status, and the decision of a request for
 *   approval: the service refuses the second one.
 * - `never`: the request takes its body from a stream, which cannot be read twice.
 */
export type Repetition = 'always' | 'when-unchanged' | 'when-not-begun' | 'never';

/** Faults that may be over in a moment. */
const PASSING: readonly TransportFault[] = ['name-unknown', 'connection-refused', 'unreachable', 'connection-lost'];
const FIRST_PAUSE_MS = 100;

/** @returns how long to wait before the next try, in milliseconds; undefined if there should be none */
export function findPause(error: unknown, repetition: Repetition, attempts: number): number | undefined {
  if (repetition === 'never') return undefined;
  const backoff = FIRST_PAUSE_MS * 2 ** (attempts - 1) * (0.5 + Math.random());
  if (error instanceof PasskeyTransportError) {
    const mayRepeat = PASSING.includes(error.code) && (repetition === 'always' || !error.mayHaveArrived);
    return mayRepeat ? backoff : undefined;
  }
  if (!(error instanceof PasskeyProblem)) return undefined;
  const { slug, reason, retryAfterSeconds } = error;
  // With a reason it is the user's limit, which outlasts a request.
  const isRateOfCaller = slug === 'rate-limited' && reason === undefined;
  const mayRepeat = isRateOfCaller || (slug === 'unavailable' && repetition !== 'when-not-begun');
  return mayRepeat ? Math.max(backoff, (retryAfterSeconds ?? 0) * 1_000) : undefined;
}
