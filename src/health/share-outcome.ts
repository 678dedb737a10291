/**
 * Runs `work` once for everybody who asks while it runs, and gives its outcome, good or bad, to everybody who asks in the next
 * `ms` milliseconds.
 */
export function shareOutcome<Outcome>(work: () => Promise<Outcome>, ms = 0): () => Promise<Outcome> {
  let latest: Promise<Outcome> | undefined;
  let expires = 0;
  return () => {
    if (latest === undefined || performance.now() > expires) {
      expires = Infinity;
      latest = work().finally(() => {
        expires = performance.now() + ms;
      });
    }
    return latest;
  };
}
