import { deriveSealKey, type SecretKeys } from '../../src/config/secret-keys.js';
import type { SealRegister } from '../../src/seals/seal-register.js';
import { Seals } from '../../src/seals/seals.js';

export const TEST_KEYS: SecretKeys = {
  seals: [deriveSealKey(Buffer.alloc(32, 1))],
  decoy: Buffer.alloc(32, 2),
  auditSubjects: [Buffer.alloc(32, 3)],
  signalSecrets: [Buffer.alloc(32, 5)],
  challenges: [Buffer.alloc(32, 4)],
};

/** Keys of seals alone, the first of which seals. */
export function makeSealKeys(...fills: readonly [number, ...number[]]): Pick<SecretKeys, 'seals'> {
  return { seals: fills.map((fill) => deriveSealKey(Buffer.alloc(32, fill))) as unknown as SecretKeys['seals'] };
}

/** Seals of the test's keys; new ones only, or those that a register says. */
export function makeSeals(keys: Pick<SecretKeys, 'seals'> = TEST_KEYS, register: Partial<SealRegister> = {}): Seals {
  const usual = { areSealsNew: true, areOldAccepted: false, isRetired: () => false, isRetiring: () => false };
  return new Seals(keys, { ...usual, ...register });
}
