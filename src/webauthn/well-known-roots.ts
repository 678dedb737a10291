import { SettingsService } from '@simplewebauthn/server';

/**
 * Roots that their owners publish: Apple's for `apple`, Google's for `android-key` (PEM). They are taken out of the
 * library for good: with roots it would build paths itself, and before it trusts a path it fetches the revocation lists
 * that the path names. Trust is decided by certificate-path.ts.
 */
export const WELL_KNOWN_ROOTS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  apple: taken('apple'),
  'android-key': taken('android-key'),
});

taken('android-safetynet');

/** GlobalSign's Root CA R3 and Root R46 (PEM), to which the signer of FIDO metadata leads. */
export const FIDO_METADATA_ROOTS: readonly string[] = Object.freeze([
  ...SettingsService.getRootCertificates({ identifier: 'mds' }),
]);

function taken(identifier: 'apple' | 'android-key' | 'android-safetynet'): readonly string[] {
  const roots = Object.freeze([...SettingsService.getRootCertificates({ identifier })]);
  SettingsService.setRootCertificates({ identifier, certificates: [] });
  return roots;
}
