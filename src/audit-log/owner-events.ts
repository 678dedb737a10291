import { toCanonical } from '../tlog/canonical-json.js';
import type { TakenRow } from './pending-events.repository.js';

/**
 * What the owner of the tables records: npm run migration:run and npm run audit:archive have no key. The owner can do these
 * things, and hide that it did, so its word for them is worth as much as with a MAC.
 */
const TYPES: readonly string[] = ['schema.migrate', 'audit.archive'];

/** True if the owner of the tables recorded this event, and it is of a type that the owner records. */
export function isOfOwner({ id, intact, of_owner: owner }: TakenRow): boolean {
  if (!owner || !intact) return false;
  try {
    const event = JSON.parse(owner.event) as { metadata?: { event_code?: unknown; uid?: unknown } };
    // In the canonical form no reader finds another type than this one.
    const { event_code: type, uid } = event.metadata ?? {};
    return toCanonical(event) === owner.event && type === owner.type && TYPES.includes(owner.type) && uid === id;
  } catch {
    return false;
  }
}
