import type { SealedEvent } from '../audit/event-macs.js';
import { MOST_PENDING, type PendingChange, type PendingPart } from './held-pages.repository.js';
import { ERASURE_TYPE, type LoggedChange, type RowHistory } from './row-history.js';

/**
 * The pending events of a page that the service wrote. Whoever acts as the service can make any event pending, so each is
 * judged by its MAC, as the sequencer will judge it.
 */
export class PendingChanges {
  private readonly changes = new Map<string, LoggedChange[]>();

  /** @throws Error if more events are pending than a page reads */
  constructor({ waiting, pending }: PendingPart, isGenuine: (event: SealedEvent) => boolean) {
    if (waiting > MOST_PENDING) {
      throw new Error(`more than ${String(MOST_PENDING)} events are pending: no row can be held against the log`);
    }
    for (const { subject, change } of pending.filter((each) => isGenuine(toSealed(each)))) {
      this.changes.set(subject, [...(this.changes.get(subject) ?? []), change]);
    }
  }

  /**
   * Adds the events about a row and the erasure of its user.
   *
   * @param uid the user's pseudonym, for a row that no event tells of; null: the row has none
   */
  addTo(history: RowHistory, subject: string, uid: string | null): void {
    for (const change of this.changes.get(subject) ?? []) history.add(change);
    const user = history.newest?.user ?? uid;
    const ofUser = user === null || user === subject ? [] : (this.changes.get(user) ?? []);
    for (const change of ofUser) if (change.type === ERASURE_TYPE) history.add(change);
  }
}

function toSealed({ change: { id }, hash, mac }: PendingChange): SealedEvent {
  return { id, leaf_hash: Buffer.from(hash, 'hex'), mac: mac === null ? null : Buffer.from(mac, 'hex') };
}
