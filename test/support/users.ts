import { randomBytes, randomUUID } from 'node:crypto';
import type { SealedUser } from '../../src/audit/sealed-user.js';

/** Makes what a user gets at the first registration. The seal is of no key. */
export const makeNewUser = (handle: Buffer = randomBytes(32)): Pick<SealedUser, 'handle' | 'auditUid' | 'seal'> => ({
  handle,
  auditUid: randomUUID(),
  seal: randomBytes(20),
});
