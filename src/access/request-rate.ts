/**
 * A token bucket for each grant: `perSecond` on average, a burst of one second's worth. It lives in this process's memory
 * as long as the grant is in force.
 */
export class RequestRate {
  private readonly buckets = new WeakMap<object, { tokens: number; at: number }>();

  /**
   * @param now milliseconds
   * @returns 0 when the request is within the rate, else the seconds until the next one is
   */
  take(grant: object, perSecond: number, now: number): number {
    const burst = Math.max(1, perSecond);
    const bucket = this.buckets.get(grant) ?? { tokens: burst, at: now };
    const refilled = bucket.tokens + (Math.max(0, now - bucket.at) / 1_000) * perSecond;
    bucket.tokens = Math.min(burst, refilled);
    bucket.at = now;
    this.buckets.set(grant, bucket);
    if (bucket.tokens < 1) return (1 - bucket.tokens) / perSecond;
    bucket.tokens -= 1;
    return 0;
  }
}
