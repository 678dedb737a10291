import type { SealedRow } from '../seals/seal.js';
import type { Seals } from '../seals/seals.js';

/** A user of a relying party: the handle by which authenticators know the user, and the pseudonym of the audit log. */
export interface SealedUser {
  readonly rpId: string;
  readonly userId: string;
  readonly handle: Buffer;
  readonly auditUid: string;
  /** null: the version before stored the row. */
  readonly seal: Buffer | null;
}

/** True if the row of a user is as the service wrote it. */
export function isUserGenuine(seals: Seals, user: SealedUser): boolean {
  return seals.isGenuine(describeUser(user), user.seal);
}

export function describeUser({ rpId, userId, handle, auditUid }: Omit<SealedUser, 'seal'>): SealedRow {
  return { kind: 'user', parts: [rpId, userId, handle, auditUid], wasUnsealed: true };
}
