import type { SealedUser } from '../audit/sealed-user.js';
import { refuseUnless } from '../webauthn/refusal.js';

/*
 * The user handle that an authenticator holds for a passkey. One that was registered here has the user's. One that was imported
 * may have another, which another service made, or one that nobody kept: then the next authentication tells it, once.
 */

/** A credential: see CredentialEntity. */
interface Holder {
  readonly userHandle: Buffer | null;
}

/** Stands for a handle that is not known yet. */
export const UNKNOWN_HANDLE = Buffer.alloc(0);
/** WebAuthn L3 §4, User Handle. */
export const MAX_USER_HANDLE_BYTES = 64;

function isUnknown({ userHandle }: Holder): boolean {
  return userHandle?.length === 0;
}

/**
 * Demands that an answer tells the handle that the authenticator holds: WebAuthn L3 §7.2 step 6.
 *
 * @param told base64url; undefined: the answer tells none, which is for the caller to judge
 * @throws Refusal user-handle-mismatch
 */
export function demandHeldHandle(
  holder: Holder,
  { handle }: Pick<SealedUser, 'handle'>,
  told: string | undefined,
): void {
  if (told === undefined) return;
  if (!isUnknown(holder)) {
    const held = (holder.userHandle ?? handle).toString('base64url');
    refuseUnless(told === held, 'user-handle-mismatch', 'the user handle is not the one of the passkey’s user');
    return;
  }
  const bytes = Buffer.from(told, 'base64url');
  const isHandle = bytes.length <= MAX_USER_HANDLE_BYTES && bytes.toString('base64url') === told;
  refuseUnless(isHandle, 'user-handle-mismatch', 'the user handle is not 1 to 64 bytes in base64url');
}

/** Returns what the credential says of its handle after an answer that `demandHeldHandle` has passed. */
export function learnHeldHandle(
  holder: Holder,
  { handle }: Pick<SealedUser, 'handle'>,
  told: string | undefined,
): Buffer | null {
  if (told === undefined || !isUnknown(holder)) return holder.userHandle;
  const bytes = Buffer.from(told, 'base64url');
  return bytes.equals(handle) ? null : bytes;
}
