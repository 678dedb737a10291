import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for what is to come. @throws when it has not come in 45 seconds */
export async function until<Found>(find: () => Promise<Found | undefined | false>): Promise<Found> {
  for (const deadline = Date.now() + 45_000; Date.now() < deadline;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    await sleep(25);
  }
  throw new Error('it did not come to that');
}
