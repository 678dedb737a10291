/** A token bucket for each identity: `perSecond` on average, a burst of one second's worth. In this process's memory. */
export class RequestRate {
  private readonly buckets = new Map<string, { tokens: number; at: number }>();

  /**
   * @param now milliseconds
   * @returns 0 when the request is within the rate, else the seconds until the next one is
   */
  take(id: string, perSecond: number, now: number): number {
    const burst = Math.max(1, perSecond);
    const bucket = this.buckets.get(id) ?? { tokens: burst, at: now };
    const refilled = bucket.tokens + (Math.max(0, now - bucket.at) / 1_000) * perSecond;
    bucket.tokens = Math.min(burst, refilled);
    bucket.at = now;
    this.buckets.set(id, bucket);
    if (bucket.tokens < 1) return (1 - bucket.tokens) / perSecond;
    bucket.tokens -= 1;
    return 0;
  }
}
