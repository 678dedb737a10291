import type { SealedRow } from '../seals/seal.js';

/**
 * What the MAC of an event covers: its id, and its text by the leaf hash. Only who has the key can make it, so the
 * sequencer knows the events of this service (docs/adr/0027-events-carry-a-mac.md).
 */
export function describeEvent(id: string, leafHash: Buffer): SealedRow {
  return { kind: 'event', parts: [id, leafHash] };
}
