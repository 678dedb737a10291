import { computeHmac } from '../config/hmac.js';
import type { SealKey } from '../config/secret-keys.js';
import { computeSeal } from './seal.js';

/** Computes what the database keeps of a key, so that a start with another key is noticed. */
export function computeCheckValue(key: SealKey): Buffer {
  return computeSeal(key, { kind: 'check', parts: [] });
}

/** Computes the check value of the version before. */
export function computeFormerCheckValue({ former }: SealKey): Buffer {
  return computeHmac(former.relyingParty, 'check');
}
