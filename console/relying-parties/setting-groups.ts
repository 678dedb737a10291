/** The settings as the form shows them: by what an operator thinks of, and not by the contract. */
export const SETTING_GROUPS: readonly (readonly [title: string, pointers: readonly string[]])[] = [
  ['The relying party', ['/enabled', '/name', '/origins']],
  [
    'What a passkey must be',
    ['/policy/userVerification', '/policy/backup', '/policy/residentKey', '/policy/algorithms'],
  ],
  [
    'Which authenticators',
    [
      ...['/policy/authenticators/allow', '/policy/authenticators/deny', '/policy/authenticators/unknown'],
      ...['/policy/attestation/conveyance', '/policy/attestation/trust', '/policy/attestation/formats'],
      '/policy/allowSha1Tpm',
    ],
  ],
  [
    'Sign-ins and payments',
    [
      ...['/policy/purposes', '/policy/signCountRegression', '/policy/backupEligibilityChange'],
      ...['/policy/browserKeys/unknown', '/policy/crossOrigin/allow', '/policy/crossOrigin/topOrigins'],
    ],
  ],
  [
    'Limits',
    [
      ...['/policy/maxCredentialsPerUser', '/policy/challengeTtlSeconds'],
      ...['/policy/identityProof/required', '/policy/identityProof/maxAgeSeconds'],
      ...['/policy/userLimits/challengesPerMinute', '/policy/userLimits/refusalsPerHalfHour'],
    ],
  ],
  ['Another domain', ['/successor/rpId', '/successor/endsAt', '/successor/registrations']],
];
