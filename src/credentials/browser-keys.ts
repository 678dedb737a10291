import type { CredentialEntity } from './credential.entity.js';

/**
 * `untrusted`: was seen with the passkey, but the policy demands more before it counts. A revoked key pays nothing any more.
 */
export type BrowserKeyState = 'trusted' | 'untrusted' | 'revoked';

/** The key of one browser on one device that was seen with a passkey (Secure Payment Confirmation §6). */
export interface BrowserKey {
  /** The COSE Key Thumbprint with SHA-256 (RFC 9679), base64url. */
  readonly thumbprint: string;
  readonly state: BrowserKeyState;
  /** RFC 3339. */
  readonly addedAt: string;
  readonly changedAt: string;
}

/** The most keys that a passkey can have, revoked ones included. */
export const MAX_BROWSER_KEYS = 32;

/** @param credential whose seal was verified, so that the text is what the service wrote */
export function readBrowserKeys({ browserKeys }: Pick<CredentialEntity, 'browserKeys'>): readonly BrowserKey[] {
  return browserKeys === null ? [] : (JSON.parse(browserKeys) as BrowserKey[]);
}

/** Writes the keys of a credential with one of them new or in another state, in the order in which they were added. */
export function writeBrowserKey(
  credential: Pick<CredentialEntity, 'browserKeys'>,
  { thumbprint, state }: Pick<BrowserKey, 'thumbprint' | 'state'>,
  now: Date,
): string {
  const keys = readBrowserKeys(credential);
  const changedAt = now.toISOString();
  const addedAt = keys.find((each) => each.thumbprint === thumbprint)?.addedAt ?? changedAt;
  const key: BrowserKey = { thumbprint, state, addedAt, changedAt };
  const others = keys.filter((each) => each.thumbprint !== thumbprint);
  return JSON.stringify([...others, key].toSorted((a, b) => (a.addedAt < b.addedAt ? -1 : 1)));
}
