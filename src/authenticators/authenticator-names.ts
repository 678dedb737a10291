import names from './aaguid-names.json' with { type: 'json' };

const NAMES: ReadonlyMap<string, string> = new Map(Object.entries(names));

/**
 * Finds the common name of an authenticator model. Without a trusted attestation an AAGUID is only a claim: good enough
 * for a label, not for a decision.
 */
export function findAuthenticatorName(aaguid: string): string | undefined {
  return NAMES.get(aaguid);
}
