/** The attestation statement formats that are verified (WebAuthn L3 §8), `android-key` without the library: see android-key.ts. */
export const ATTESTATION_FORMATS = ['none', 'packed', 'fido-u2f', 'tpm', 'apple', 'android-key'] as const;
