import { setTimeout as sleep } from 'node:timers/promises';

/** Less than the time limit of a test. */
const PATIENCE_MS = 100_000;

/** Waits until a condition holds. @throws Error when it does not hold within 100 seconds */
export async function until<Found>(
  find: () => Promise<Found | undefined | false> | Found | undefined | false,
): Promise<Found> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    await sleep(10);
  }
  throw new Error('the condition did not hold within 100 seconds');
}
