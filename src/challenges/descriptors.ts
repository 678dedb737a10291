import type { PublicKeyCredentialDescriptorJSON } from '../webauthn/options.js';

/** A row of a passkey as the statements read it for options. Its seal is not verified, so SQL may have set any value. */
export interface ReadDescriptor {
  /** Lower-case hexadecimal credential id. */
  readonly id: string;
  readonly transports: unknown;
}

/** WebAuthn L3 §4, Credential ID. */
export const MAX_CREDENTIAL_ID_BYTES = 1_023;

/** Matches all values that clients send today, such as `hybrid` or `smart-card`, and leaves room for longer ones. */
const TRANSPORT = /^[\x21-\x7e]{1,32}$/;
const MAX_TRANSPORTS = 16;

/**
 * Makes the descriptors of a user's passkeys, in their order. They decide nothing: a use verifies the seal of the row. Here that
 * would cost ten times as much for each of up to 64 passkeys, and all columns of each. So a descriptor keeps to the form and the
 * bounds of what the service stores, and one whose id no authenticator can have is left out.
 */
export function makeDescriptors(rows: readonly ReadDescriptor[]): PublicKeyCredentialDescriptorJSON[] {
  return rows
    .filter(({ id }) => isCredentialIdLength(id.length / 2))
    .map(({ id, transports }) => ({
      type: 'public-key',
      id: Buffer.from(id, 'hex').toString('base64url'),
      transports: sortTransports(selectTransports(transports)),
    }));
}

export function isCredentialIdLength(bytes: number): boolean {
  return bytes >= 1 && bytes <= MAX_CREDENTIAL_ID_BYTES;
}

/** Keeps unknown values too, because a later client may know them (WebAuthn L3 §5.2.1). */
export function selectTransports(given: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(given) ? given : [];
  const kept = new Set(values.filter((value): value is string => typeof value === 'string' && TRANSPORT.test(value)));
  return [...kept].slice(0, MAX_TRANSPORTS);
}

/** Sorts transports as browsers do (WebAuthn L3 §5.2.1.1). Real descriptors and decoys both use it. */
export function sortTransports(transports: readonly string[]): string[] {
  return [...transports].sort();
}
