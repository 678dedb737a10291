import { getDomainWithoutSuffix } from 'tldts';

/** A browser follows so many names: WebAuthn L3 §5.11.1 demands five, and Chromium follows no more. */
export const MAX_RELATED_NAMES = 5;

/**
 * The origins that the document at /.well-known/webauthn must list (WebAuthn L3 §5.11), in the order of the settings. An
 * origin on the RP ID's own domain needs no listing, and its name would count against the browser's limit.
 */
export function relatedOrigins(rpId: string, origins: readonly string[]): string[] {
  return origins.filter((origin) => origin.startsWith('https://') && !isOwn(rpId, new URL(origin).hostname));
}

/**
 * The origins at which no browser lets the RP ID be used (WebAuthn L3 §5.11.1): their host is neither the RP ID nor below it,
 * and has no registrable domain by which it could be related. Apps are not judged.
 */
export function strangeOrigins(rpId: string, origins: readonly string[]): string[] {
  return origins.filter((origin) => {
    if (origin.startsWith('android:')) return false;
    const { hostname } = new URL(origin);
    return !isOwn(rpId, hostname) && (!origin.startsWith('https://') || !nameOf(hostname));
  });
}

/** The names by which a browser counts related origins: `example` for https://login.example.co.uk. */
export function relatedNames(rpId: string, origins: readonly string[]): string[] {
  const names = relatedOrigins(rpId, origins).map((origin) => nameOf(new URL(origin).hostname));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** undefined: the host is a public suffix, an address or a name of no public domain. */
function nameOf(hostname: string): string | undefined {
  return getDomainWithoutSuffix(hostname, { allowPrivateDomains: true }) || undefined;
}

function isOwn(rpId: string, host: string): boolean {
  return host === rpId || host.endsWith(`.${rpId}`);
}
