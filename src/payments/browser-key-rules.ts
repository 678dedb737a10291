import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { type BrowserKey, type BrowserKeyState, MAX_BROWSER_KEYS } from '../credentials/browser-keys.js';
import { refuseUnless } from '../webauthn/refusal.js';

/** What a payment by a browser-bound key, or by none, comes to. */
export interface JudgedBrowserKey {
  /** undefined: the browser has no key. */
  readonly state: BrowserKeyState | 'new' | undefined;
  readonly risk: 'browser-key-new' | 'browser-key-absent' | undefined;
  /** The state that the passkey is to remember of the key, in the commit of the payment; undefined: what it remembers holds. */
  readonly remember: 'trusted' | 'untrusted' | undefined;
}

/**
 * Judges the key of a payment by what is known of the passkey. A browser-bound key is additional to the passkey and never
 * instead of it; where the policy refuses unknown keys, a browser without one is refused, too, because whoever lacks the
 * device would leave the key out.
 *
 * @param thumbprint of the key whose signature was verified; undefined: the browser has none
 * @throws Refusal browser-key-denied
 */
export function judgeBrowserKey(
  keys: readonly BrowserKey[],
  thumbprint: string | undefined,
  { unknown }: RelyingPartyPolicy['browserKeys'],
): JudgedBrowserKey {
  const hasTrusted = keys.some(({ state }) => state === 'trusted');
  if (thumbprint === undefined) {
    refuseUnless(
      !hasTrusted || unknown !== 'refuse',
      'browser-key-denied',
      'the browser has no key, and the policy refuses what does not come from a device that is trusted',
    );
    return { state: undefined, risk: hasTrusted ? 'browser-key-absent' : undefined, remember: undefined };
  }
  const known = keys.find((key) => key.thumbprint === thumbprint);
  refuseUnless(known?.state !== 'revoked', 'browser-key-denied', 'the browser-bound key was revoked');
  if (known?.state === 'trusted') return { state: 'trusted', risk: undefined, remember: undefined };
  refuseUnless(
    unknown !== 'refuse' || keys.length === 0,
    'browser-key-denied',
    'the browser-bound key is not trusted, and the policy refuses others',
  );
  refuseUnless(
    known !== undefined || keys.length < MAX_BROWSER_KEYS,
    'browser-key-denied',
    `the passkey has ${String(MAX_BROWSER_KEYS)} browser-bound keys already`,
  );
  const remember = unknown === 'step-up' ? 'untrusted' : 'trusted';
  return {
    state: known?.state ?? 'new',
    risk: 'browser-key-new',
    remember: remember === known?.state ? undefined : remember,
  };
}
