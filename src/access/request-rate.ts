/**
 * Limits the requests of each grant with a token bucket: `perSecond` on average, and a burst of one second. The buckets
 * are in the memory of this process, and a bucket lives as long as its grant.
 */
export class RequestRate {
  private readonly buckets = new WeakMap<object, { tokens: number; at: number }>();

  /**
   * @param now milliseconds
   * @returns 0 if the request is within the rate, otherwise the seconds until the next one is
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
