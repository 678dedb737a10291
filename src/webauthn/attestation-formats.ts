/**
 * The attestation statement formats that are verified (WebAuthn L3 §8). `android-key` is absent: the library fetches the
 * revocation list that the chain itself names before it trusts the chain.
 */
export const ATTESTATION_FORMATS = ['none', 'packed', 'fido-u2f', 'tpm', 'apple'] as const;
