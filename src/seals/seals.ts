import { timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SECRET_KEYS, type SealKey, type SecretKeys } from '../config/secret-keys.js';
import { computeSeal, readKeyId, SEAL_BYTES, type SealedRow } from './seal.js';
import { SealRegister } from './seal-register.js';

/**
 * Seals rows, so that only those who have the key can make or change one (docs/adr/0031-keys-are-sets.md):
 *
 *     key id (4 bytes) · HMAC-SHA-256 of the row (its first 16 bytes)
 *
 * NIST SP 800-107 §5.3.3 gives a MAC of 16 bytes the strength that a forger would need 2^128 tries for.
 */
@Injectable()
export class Seals {
  private readonly keys: SecretKeys['seals'];

  constructor(
    @Inject(SECRET_KEYS) { seals }: Pick<SecretKeys, 'seals'>,
    @Inject(SealRegister)
    private readonly register: Pick<SealRegister, 'areSealsNew' | 'areOldAccepted' | 'isRetired' | 'isRetiring'>,
  ) {
    this.keys = seals;
  }

  /** False while replicas of the version before may run, which understand old seals only. */
  get areNew(): boolean {
    return this.register.areSealsNew;
  }

  /** Seals a row with the first key. */
  seal(row: SealedRow): Buffer {
    const key = this.first;
    return row.former && !this.register.areSealsNew ? row.former(key.former) : computeSeal(key, row);
  }

  /** True if a key of this service has sealed the row as it is now. */
  isGenuine(row: SealedRow, seal: Buffer | null): boolean {
    if (seal?.length === SEAL_BYTES) {
      const key = this.findKey(seal);
      return key !== undefined && timingSafeEqual(computeSeal(key, row), seal);
    }
    const { former, wasUnsealed = false } = row;
    if (!this.register.areOldAccepted) return false;
    if (!seal || !former) return !seal && wasUnsealed;
    return this.keys.some((key) => {
      if (this.register.isRetired(key.id)) return false;
      const computed = former(key.former);
      return computed.length === seal.length && timingSafeEqual(computed, seal);
    });
  }

  /** True if the first key should seal the row again: another key has sealed it, or the version before. */
  isOld(seal: Buffer | null): boolean {
    const isNew = seal?.length === SEAL_BYTES && this.findKey(seal) === this.first;
    return this.register.areSealsNew && !isNew;
  }

  /** The key that seals: the first that is not about to be retired. */
  get first(): SealKey {
    return this.keys.find(({ id }) => !this.register.isRetiring(id)) ?? this.keys[0];
  }

  private findKey(seal: Buffer): SealKey | undefined {
    const id = readKeyId(seal);
    return this.register.isRetired(id) ? undefined : this.keys.find((key) => key.id === id);
  }
}
