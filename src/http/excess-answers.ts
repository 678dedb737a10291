import type { FastifyInstance } from 'fastify';
import { getContext } from './request-context.js';

/** One caller gets at most so many "too much" answers a second. */
const PER_SECOND = 100;
const MAX_HOLD_MS = 2_000;
/** Beyond so many callers, those whose turn has passed are forgotten. */
const MAX_CALLERS = 1_000;

/** Decides how long each "too much" answer waits. All times are milliseconds of one clock that never goes back. */
export class ExcessPace {
  private readonly next = new Map<string, number>();

  /** @returns the milliseconds after `now` at which the caller's next answer is due */
  delay(caller: string, now: number): number {
    const at = Math.min(Math.max(now, this.next.get(caller) ?? 0), now + MAX_HOLD_MS);
    if (this.next.size >= MAX_CALLERS) for (const [key, time] of this.next) if (time <= now) this.next.delete(key);
    this.next.set(caller, at + 1_000 / PER_SECOND);
    return at - now;
  }
}

/**
 * Delays the answers that only say that the caller sends too much. A caller that ignores `Retry-After` has to wait for
 * them. If they came at once, it would send as fast as it is refused and use the time of all other callers.
 */
export function delayExcessAnswers(fastify: FastifyInstance, readTime = (): number => performance.now()): void {
  const pace = new ExcessPace();
  fastify.addHook('onSend', (request, _reply, payload, done) => {
    const { excessOf } = getContext(request);
    if (excessOf === undefined) {
      done(null, payload);
      return;
    }
    request.body = undefined;
    setTimeout(done, pace.delay(excessOf, readTime()), null, payload);
  });
}
