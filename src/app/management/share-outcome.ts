/**
 * Runs `work` once for all calls that come while it runs, and gives its outcome, success or failure, to all calls of
 * the next `ms` milliseconds.
 */
export function shareOutcome<Outcome>(
  work: () => Promise<Outcome>,
  ms = 0,
  readTime = (): number => performance.now(),
): () => Promise<Outcome> {
  let latest: Promise<Outcome> | undefined;
  let expires = 0;
  return () => {
    if (latest === undefined || readTime() > expires) {
      expires = Infinity;
      latest = work().finally(() => {
        expires = readTime() + ms;
      });
    }
    return latest;
  };
}
