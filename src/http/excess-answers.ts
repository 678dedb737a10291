import type { FastifyInstance } from 'fastify';
import { getContext } from './request-context.js';

/** One caller gets at most so many "too much" answers a second. */
const PER_SECOND = 100;
const MAX_HOLD_MS = 2_000;
/** Beyond so many callers, those whose turn has passed are forgotten. */
const MAX_CALLERS = 1_000;

/**
 * Delays the answers that only say that the caller sends too much. A caller that ignores `Retry-After` has to wait for
 * them. If they came at once, it would send as fast as it is refused and use the time of all other callers.
 */
export function delayExcessAnswers(fastify: FastifyInstance): void {
  const next = new Map<string, number>();
  fastify.addHook('onSend', (request, _reply, payload, done) => {
    const { excessOf } = getContext(request);
    if (excessOf === undefined) {
      done(null, payload);
      return;
    }
    request.body = undefined;
    const now = performance.now();
    const at = Math.min(Math.max(now, next.get(excessOf) ?? 0), now + MAX_HOLD_MS);
    if (next.size >= MAX_CALLERS) for (const [key, time] of next) if (time <= now) next.delete(key);
    next.set(excessOf, at + 1_000 / PER_SECOND);
    setTimeout(done, at - now, null, payload);
  });
}
