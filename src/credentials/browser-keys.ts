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

export function writeBrowserKeys(credential: CredentialEntity, keys: readonly BrowserKey[]): void {
  credential.browserKeys = JSON.stringify(keys);
}
