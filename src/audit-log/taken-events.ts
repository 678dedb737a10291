import { toCanonical } from '../tlog/canonical-json.js';
import type { TakenRow } from './pending-events.repository.js';

/** An event that is about to become a leaf. */
export type PendingEvent = Pick<TakenRow, 'id' | 'leaf_hash' | 'intact'>;

export interface TakenEvents {
  /** Events in the order in which they become leaves. */
  readonly events: readonly PendingEvent[];
  /** Ids of events that become no leaf, because nothing shows that the service wrote them. */
  readonly unsealed: readonly string[];
}

/**
 * Selects the events of a batch that become leaves. An event that has its leaf gets no other, and an event with several
 * rows becomes one leaf if one of them is genuine: a row that somebody adds takes no event its place.
 */
export function selectEvents(rows: readonly TakenRow[], isGenuine: (row: TakenRow) => boolean): TakenEvents {
  const placeless = rows.filter((row) => row.placeless);
  const events = new Map<string, TakenRow>();
  for (const row of placeless.filter(isGenuine)) {
    const known = events.get(row.id);
    if (!known || rank(row) > rank(known)) events.set(row.id, row);
  }
  const unsealed = new Set(placeless.map(({ id }) => id).filter((id) => !events.has(id)));
  return { events: [...events.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), unsealed: [...unsealed] };
}

/** A row with a MAC is better than one without, and then one that fits its event. */
function rank({ mac, intact }: TakenRow): number {
  return (mac ? 2 : 0) + (intact ? 1 : 0);
}

/**
 * What the owner of the tables records: npm run migration:run, audit:archive and keys have no key. The owner can do these
 * things, and hide that it did, so its word for them is worth as much as with a MAC.
 */
const TYPES: readonly string[] = ['schema.migrate', 'audit.archive', 'seal-key.retire', 'seal-key.force-retire'];

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
