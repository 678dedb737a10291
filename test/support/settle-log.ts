import { CheckpointScheduler } from '../../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../../src/audit-log/pending-events.repository.js';
import type { TestService } from './service.js';

/** Sequences every event. */
export async function settleLog({ running: { app }, clock }: TestService): Promise<void> {
  const pending = app.get(PendingEventsRepository, { strict: false });
  const keeper = app.get(CheckpointScheduler, { strict: false });
  while ((await pending.findOldest()) !== undefined) {
    clock.advance(1);
    await keeper.tick();
  }
}
