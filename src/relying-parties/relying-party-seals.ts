import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import canonicalize from 'canonicalize';
import { Refusals } from '../audit/refusals.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
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
  private readonly logger = new Logger(RelyingPartySeals.name);

  constructor(
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly refusals: Refusals,
  ) {}

  seal(party: RelyingPartyEntity, policy: unknown = party.policy): RelyingPartyEntity {
    return Object.assign(party, { seal: computeSeal(this.keys.relyingParty, { party, policy }) });
  }

  isGenuine(stored: StoredRelyingParty): boolean {
    const { seal } = stored.party;
    const computed = computeSealOfAny(this.keys.relyingParty, stored);
    return seal?.length === SEAL_BYTES && computed !== undefined && timingSafeEqual(seal, computed);
  }

  /** Keeps the relying parties that are as the service wrote them. The audit log records each of the others first. */
  async keepGenuine(stored: readonly StoredRelyingParty[]): Promise<RelyingPartyEntity[]> {
    const genuine: RelyingPartyEntity[] = [];
    for (const each of stored) {
      if (this.isGenuine(each)) genuine.push(each.party);
      else await this.report(each.party.rpId);
    }
    return genuine;
  }

  private async report(rpId: string): Promise<void> {
    this.logger.error({ message: 'the record of a relying party fails its integrity check', rpId });
    await this.refusals.refuseRow(null, rpId, {
      type: 'relying-party.tampered',
      outcome: 'failure',
      detail: 'the row was changed by something other than this service',
      rpId,
    });
  }
}

const SEAL_BYTES = 32;

/** @returns undefined for values that the service never stores and RFC 8785 has no form for, such as a number beyond doubles */
function computeSealOfAny(key: Buffer, stored: StoredRelyingParty): Buffer | undefined {
  try {
    return computeSeal(key, stored);
  } catch {
    return undefined;
  }
}

/** Computes the HMAC-SHA-256 over everything that the row says. RFC 8785 makes the policy one text. */
function computeSeal(key: Buffer, { party, policy }: StoredRelyingParty): Buffer {
  const { rpId, name, origins, enabled, version, createdAt, updatedAt } = party;
  const sealed = [rpId, name, origins, enabled, canonicalize(policy), version, createdAt, updatedAt];
  return createHmac('sha256', key).update(JSON.stringify(sealed)).digest();
}
