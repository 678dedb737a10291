import { computeHmac } from '../config/hmac.js';
import { Injectable } from '@nestjs/common';
import canonicalize from 'canonicalize';
import { Refusals } from '../audit/refusals.js';
import type { SealKey } from '../config/secret-keys.js';
import type { SealedRow } from '../seals/seal.js';
import { Seals } from '../seals/seals.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

/** A relying party as it is stored: `policy` lacks the members that were added to policies since. */
export interface StoredRelyingParty {
  readonly party: RelyingPartyEntity;
  readonly policy: unknown;
}

/**
 * Seals relying parties, and finds those that something other than this service changed. A relying party decides which
 * origins and authenticators are accepted, so a row that fails counts as absent (docs/adr/0026-sealed-relying-parties.md).
 */
@Injectable()
export class RelyingPartySeals {
  constructor(
    private readonly seals: Seals,
    private readonly refusals: Refusals,
  ) {}

  seal(party: RelyingPartyEntity, policy: unknown = party.policy): RelyingPartyEntity {
    return Object.assign(party, { seal: this.seals.seal(describeRow({ party, policy })) });
  }

  isGenuine(stored: StoredRelyingParty): boolean {
    return this.seals.isGenuine(describeRow(stored), stored.party.seal);
  }

  /** True if the row should be sealed again. */
  isOld({ seal }: Pick<RelyingPartyEntity, 'seal'>): boolean {
    return this.seals.isOld(seal);
  }

  /** Keeps the relying parties that are as the service wrote them. The audit log records each of the others first. */
  async keepGenuine(stored: readonly StoredRelyingParty[]): Promise<RelyingPartyEntity[]> {
    const genuine: RelyingPartyEntity[] = [];
    for (const each of stored) {
      if (this.isGenuine(each)) genuine.push(each.party);
      else await this.refusals.refuseRow(null, { type: 'relying-party.tampered', rpId: each.party.rpId });
    }
    return genuine;
  }
}

/** Describes everything that the row says. RFC 8785 makes the policy and the successor one text each. */
function describeRow({ party, policy }: StoredRelyingParty): SealedRow {
  const { rpId, name, origins, enabled, successor, version, createdAt, updatedAt } = party;
  const parts = [rpId, name, origins, enabled, toCanonical(policy), version, createdAt, updatedAt];
  // Rows from before successors have seals without one.
  if (successor !== null) parts.push(toCanonical(successor));
  const former = (keys: SealKey['former']): Buffer => computeHmac(keys.relyingParty, JSON.stringify(parts));
  return { kind: 'relying-party', parts, former };
}

/** @returns undefined for values that the service never stores and RFC 8785 has no form for, such as a number beyond doubles */
function toCanonical(json: unknown): string | undefined {
  try {
    return canonicalize(json);
  } catch {
    return undefined;
  }
}
