import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds. @throws Error when it does not hold within 45 seconds */
export async function until<Found>(find: () => Promise<Found | undefined | false>): Promise<Found> {
  for (const deadline = Date.now() + 45_000; Date.now() < deadline;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    await sleep(25);
  }
  throw new Error('the condition did not hold within 45 seconds');
}
