import names from './aaguid-names.json' with { type: 'json' };

const NAMES: ReadonlyMap<string, string> = new Map(Object.entries(names));

/** What people call an authenticator model. An AAGUID without trusted attestation is a claim: good for a label, not for a decision. */
export function authenticatorName(aaguid: string): string | undefined {
  return NAMES.get(aaguid);
}
