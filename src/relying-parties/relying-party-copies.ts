import { Injectable, Optional } from '@nestjs/common';
import { Problem } from '../http/problem.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

/** How a ceremony that is under way is told that its relying party does not exist any more. */
export function denyUnknown(error: unknown): never {
  throw error instanceof Problem && error.slug === 'relying-party-unknown'
    ? new Problem('relying-party-denied')
    : error;
}

const KEPT_MS = 1_000;
const MAX_COPIES = 1_000;

interface Copy {
  readonly party: Promise<RelyingPartyEntity>;
  readonly readAt: number;
}

/**
 * Copies of relying parties that are at most a second old, for steps whose result a later statement checks against the
 * present settings. A clock that is set does not make a copy older or younger.
 */
@Injectable()
export class RelyingPartyCopies {
  private readonly copies = new Map<string, Copy>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(
    private readonly parties: RelyingPartiesService,
    @Optional() private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws Problem relying-party-unknown; relying-party-denied if it is switched off, or has ended */
  async getEnabled(rpId: string): Promise<RelyingPartyEntity> {
    const party = await this.getCopy(rpId);
    if (!this.parties.hasEnded(party)) return party;
    // The end passes while the copy is kept. It may have been moved, too.
    this.forget(rpId);
    return this.getCopy(rpId);
  }

  private getCopy(rpId: string): Promise<RelyingPartyEntity> {
    const now = this.now();
    const known = this.copies.get(rpId);
    if (known && now - known.readAt < KEPT_MS) return known.party;
    const party = this.parties.getEnabled(rpId);
    if (this.copies.size >= MAX_COPIES) this.copies.clear();
    this.copies.set(rpId, { party, readAt: now });
    party.catch(() => {
      this.forget(rpId);
    });
    return party;
  }

  /**
   * Returns the relying party with this seal, which a statement has just read; if another version has been stored since,
   * that one. So the statement need not read the settings, and nobody is judged by others than the present ones.
   *
   * @throws Problem like getEnabled
   */
  async getSealed(rpId: string, seal: Buffer | null): Promise<RelyingPartyEntity> {
    const party = await this.getEnabled(rpId);
    if (seal && party.seal?.equals(seal)) return party;
    this.forget(rpId);
    return this.getEnabled(rpId);
  }

  /** Makes the next call read the relying party again. */
  forget(rpId: string): void {
    this.copies.delete(rpId);
  }
}
