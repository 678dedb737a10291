import { getDomainWithoutSuffix, parse } from 'tldts';

/** The number of names that a browser follows: WebAuthn L3 §5.11.1 demands five, and Chromium follows no more. */
export const MAX_RELATED_NAMES = 5;

/**
 * Lists the origins for the document at /.well-known/webauthn (WebAuthn L3 §5.11), in the order of the settings. An
 * origin on the domain of the RP ID needs no listing, and its name would count against the limit of the browser.
 */
export function listRelatedOrigins(rpId: string, origins: readonly string[]): string[] {
  return origins.filter((origin) => origin.startsWith('https://') && !isOwnHost(rpId, new URL(origin).hostname));
}

/**
 * Lists the origins where no browser accepts the RP ID (WebAuthn L3 §5.11.1): the host is neither the RP ID nor below
 * it, and has no registrable domain that could make it a related origin. Origins of apps are never listed.
 */
export function listUnusableOrigins(rpId: string, origins: readonly string[]): string[] {
  return origins.filter((origin) => {
    if (origin.startsWith('android:')) return false;
    const { hostname } = new URL(origin);
    return !isOwnHost(rpId, hostname) && (!origin.startsWith('https://') || !findDomainName(hostname));
  });
}

/** Lists the names that a browser counts for related origins, such as `example` for https://login.example.co.uk. */
export function listRelatedNames(rpId: string, origins: readonly string[]): string[] {
  const names = listRelatedOrigins(rpId, origins).map((origin) => findDomainName(new URL(origin).hostname));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/**
 * Tells if the RP ID is a public suffix, such as `com` or `github.io`, on which no page may have passkeys (WebAuthn L3
 * §5.1.3 step 8). A name of one label that is on no list counts, too; browsers make an exception for localhost.
 */
export function isPublicSuffix(rpId: string): boolean {
  return rpId !== 'localhost' && parse(rpId, { allowPrivateDomains: true }).publicSuffix === rpId;
}

/** @returns undefined if the host is a public suffix, an address or a name outside the public domains */
function findDomainName(hostname: string): string | undefined {
  return getDomainWithoutSuffix(hostname, { allowPrivateDomains: true }) || undefined;
}

function isOwnHost(rpId: string, host: string): boolean {
  return host === rpId || host.endsWith(`.${rpId}`);
}
