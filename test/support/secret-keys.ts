import type { SecretKeys } from '../../src/config/secret-keys.js';

export const TEST_KEYS: SecretKeys = {
  binding: Buffer.alloc(32, 1),
  relyingParty: Buffer.alloc(32, 5),
  decoy: Buffer.alloc(32, 2),
  auditSubject: Buffer.alloc(32, 3),
  approval: Buffer.alloc(32, 5),
  challenges: [Buffer.alloc(32, 4)],
};
