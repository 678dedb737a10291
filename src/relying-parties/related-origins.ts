import { getDomainWithoutSuffix } from 'tldts';

/** How many names a browser follows: WebAuthn L3 §5.11.1 demands five, and Chromium follows no more. */
export const MAX_RELATED_NAMES = 5;

/**
 * The origins that the document at /.well-known/webauthn must list (WebAuthn L3 §5.11), in the order of the settings. An
 * origin on the RP ID's own domain needs no listing, and its name would count against the browser's limit.
 */
export function relatedOrigins(rpId: string, origins: readonly string[]): string[] {
  return origins.filter((origin) => origin.startsWith('https://') && !isOwn(rpId, new URL(origin).hostname));
}

/** The names by which a browser counts related origins: `example` for https://login.example.co.uk. */
export function relatedNames(rpId: string, origins: readonly string[]): string[] {
  const names = relatedOrigins(rpId, origins).map((origin) =>
    getDomainWithoutSuffix(new URL(origin).hostname, { allowPrivateDomains: true }),
  );
  return [...new Set(names.filter((name) => name !== null && name !== ''))] as string[];
}

function isOwn(rpId: string, host: string): boolean {
  return host === rpId || host.endsWith(`.${rpId}`);
}
