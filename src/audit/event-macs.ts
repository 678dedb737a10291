import { Inject, Injectable } from '@nestjs/common';
import type { SealedRow } from '../seals/seal.js';
import { SealRegister } from '../seals/seal-register.js';
import { Seals } from '../seals/seals.js';

/**
 * What the MAC of an event covers: its id, and its text by the leaf hash. Only who has the key can make it, so the
 * sequencer knows the events of this service (docs/adr/0027-events-carry-a-mac.md).
 */
export function describeEvent(id: string, leafHash: Buffer): SealedRow {
  return { kind: 'event', parts: [id, leafHash] };
}

/** What `audit_pending` has of an event. */
export interface SealedEvent {
  readonly id: string;
  readonly leaf_hash: Buffer;
  readonly mac: Buffer | null;
}

/** Tells the pending events of this service from those that somebody else inserted. */
@Injectable()
export class EventMacs {
  constructor(
    private readonly seals: Seals,
    @Inject(SealRegister) private readonly register: Pick<SealRegister, 'areSealsNew'>,
  ) {}

  /** True if the service wrote the event. Replicas of the version before write no MAC, as long as they may run. */
  isGenuine({ id, leaf_hash: leafHash, mac }: SealedEvent): boolean {
    return mac ? this.seals.isGenuine(describeEvent(id, leafHash), mac) : !this.register.areSealsNew;
  }
}
