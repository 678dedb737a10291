import { type Choice, chooseRequirement, type Setting } from './setting.js';

/** Values that a purpose can have, too. */
export const USER_VERIFICATION = chooseRequirement(
  {
    does: 'The authenticator must check a PIN or biometrics, so that a passkey counts as two factors.',
    breaks: 'Users whose authenticator has neither, such as an old U2F key, can neither register nor sign in.',
  },
  {
    does: 'The browser asks for a PIN or biometrics where there are any. An answer without is accepted.',
    breaks: 'Whoever holds a device without a PIN can sign in with it. The caller must look at userVerified.',
  },
  {
    does: 'The browser avoids asking for a PIN or biometrics.',
    breaks: 'A sign-in shows that somebody holds the device, and no more. It is one factor.',
  },
);

export const BACKUP: readonly Choice[] = [
  { value: 'any', label: 'any', does: 'Accepts passkeys that are synced between devices, and those bound to one.' },
  {
    value: 'device-bound',
    label: 'device-bound',
    does: 'Accepts only passkeys that never leave their device, such as those of security keys.',
    breaks:
      'Users with synced passkeys (iCloud Keychain, Google Password Manager, most password managers) can no longer sign in with them. New ones need a trusted attestation, so the conveyance must be direct. A user who loses the device has lost the passkey.',
  },
  {
    value: 'synced',
    label: 'synced',
    does: 'Accepts only passkeys that can be backed up, so that a lost device locks nobody out.',
    breaks: 'Users of security keys, and of Windows Hello where it does not sync, can no longer sign in with them.',
  },
];

export const TRUST: readonly Choice[] = [
  { value: 'any', label: 'any', does: 'Accepts a passkey whatever proves its model, or if nothing does.' },
  {
    value: 'trusted',
    label: 'trusted',
    does: 'Accepts only authenticators whose maker’s certificate leads to a root that the service knows.',
    breaks:
      'Synced passkeys mostly carry no attestation, so their users cannot register. It needs the conveyance direct or enterprise.',
  },
];

export const CHALLENGE_TTL = { kind: 'number', minimum: 1, maximum: 3_600, unit: 'seconds' } as const;
export const MAX_AGE = { kind: 'number', minimum: 1, maximum: 86_400, unit: 'seconds' } as const;

const algorithm = (value: number, name: string, does: string, breaks?: string): Choice => ({
  value,
  label: `${name} (${String(value)})`,
  does,
  ...(breaks !== undefined && { breaks }),
});

const FORMATS: readonly Choice[] = [
  { value: 'none', label: 'none', does: 'No proof of the model. Most synced passkeys send it.' },
  { value: 'packed', label: 'packed', does: 'Security keys, and some platforms.' },
  { value: 'fido-u2f', label: 'fido-u2f', does: 'Security keys from before FIDO2. They have no PIN.' },
  { value: 'tpm', label: 'tpm', does: 'Windows Hello. Nearly all of it relies on SHA-1: see allowSha1Tpm.' },
  { value: 'apple', label: 'apple', does: 'Devices of Apple that an enterprise manages.' },
  { value: 'android-key', label: 'android-key', does: 'Android devices, with a key in their hardware.' },
];

/** The settings of the ceremony policy, in the order of the contract. */
export const POLICY_SETTINGS: readonly Setting[] = [
  {
    pointer: '/policy/userVerification',
    title: 'User verification',
    does: 'Must the authenticator check a PIN or biometrics?',
    appliesTo: 'both',
    standard: 'required',
    form: USER_VERIFICATION,
  },
  {
    pointer: '/policy/residentKey',
    title: 'Discoverable passkeys',
    does: 'Must the authenticator store the passkey so that users need not name themselves to sign in?',
    appliesTo: 'registrations',
    standard: 'required',
    form: chooseRequirement(
      {
        does: 'Every new passkey signs in without a user name, also from autofill.',
        breaks: 'Security keys that are full, or too old to store passkeys, cannot register.',
      },
      {
        does: 'The authenticator stores the passkey if it can.',
        breaks: 'Some passkeys work only after users have named themselves, so the caller must send userId.',
      },
      {
        does: 'The authenticator does not store the passkey if it can avoid that.',
        breaks: 'Autofill and a sign-in without a user name find no such passkey.',
      },
    ),
  },
  {
    pointer: '/policy/attestation/conveyance',
    title: 'Attestation: what the browser asks for',
    does: 'Does the browser ask the authenticator to prove its model?',
    appliesTo: 'registrations',
    standard: 'none',
    form: {
      kind: 'choice',
      choices: [
        {
          value: 'none',
          label: 'none',
          does: 'No. Registration is shortest, and tells least about the user’s device.',
          breaks:
            'No model is proved. With trusted attestation or device-bound passkeys demanded, nobody can register.',
        },
        {
          value: 'indirect',
          label: 'indirect',
          does: 'Yes, and the browser may replace the proof by an anonymous one.',
          breaks: 'Whether the proof is trusted depends on the browser.',
        },
        {
          value: 'direct',
          label: 'direct',
          does: 'Yes, as the authenticator gives it.',
          breaks: 'Some browsers ask the user for consent. Synced passkeys mostly prove nothing all the same.',
        },
        {
          value: 'enterprise',
          label: 'enterprise',
          does: 'Yes, with the serial number of the device where an enterprise manages it for this RP ID.',
          breaks: 'It identifies a person’s device. Browsers that nobody manages answer as with direct, or none.',
        },
      ],
    },
  },
  {
    pointer: '/policy/attestation/trust',
    title: 'Attestation: whom the service trusts',
    does: 'Must the model of a new passkey be proved?',
    appliesTo: 'registrations',
    standard: 'any',
    form: { kind: 'choice', choices: TRUST },
  },
  {
    pointer: '/policy/attestation/formats',
    title: 'Attestation: formats',
    does: 'In which forms may an authenticator prove its model?',
    breaks:
      'Without none, an authenticator that proves nothing is refused. Without the format of a kind of device, users of that kind cannot register.',
    appliesTo: 'registrations',
    standard: ['none', 'packed', 'fido-u2f', 'tpm', 'apple', 'android-key'],
    form: { kind: 'choices', choices: FORMATS, ordered: false },
  },
  {
    pointer: '/policy/authenticators/allow',
    title: 'Models: only these',
    does: 'Which models may be used, by their AAGUID? Absent, the list allows every model.',
    breaks:
      'Every other model is refused at once, and its users can no longer sign in. An empty list refuses all. Without trusted attestation, a model is only what the authenticator says.',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'lines', of: 'aaguid', maximum: 1_000, optional: true },
  },
  {
    pointer: '/policy/authenticators/deny',
    title: 'Models: never these',
    does: 'Which models may not be used?',
    breaks: 'Users of these models can no longer sign in with them.',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'lines', of: 'aaguid', maximum: 1_000, optional: true },
  },
  {
    pointer: '/policy/authenticators/unknown',
    title: 'Models that the service does not know',
    does: 'May an authenticator be used whose model the service has no name and no metadata for?',
    appliesTo: 'both',
    standard: 'allow',
    form: {
      kind: 'choice',
      choices: [
        { value: 'allow', label: 'allow', does: 'Yes.' },
        {
          value: 'deny',
          label: 'deny',
          does: 'No, unless the list of models names it.',
          breaks: 'New models, and authenticators that hide their model, can neither register nor sign in.',
        },
      ],
    },
  },
  {
    pointer: '/policy/algorithms',
    title: 'Algorithms',
    does: 'For which signature algorithms may a new passkey have a key? The first one is preferred.',
    breaks: 'An authenticator that has none of them cannot register.',
    appliesTo: 'registrations',
    standard: [-48, -8, -7, -257],
    form: {
      kind: 'choices',
      ordered: true,
      choices: [
        algorithm(-48, 'ML-DSA-44', 'Withstands quantum computers. Few authenticators have it yet.'),
        algorithm(-8, 'EdDSA', 'Security keys of the last years.'),
        algorithm(-7, 'ES256', 'Nearly every authenticator.', 'Without it hardly anybody can register.'),
        algorithm(-257, 'RS256', 'Windows computers whose TPM has nothing else.', 'Without it these cannot register.'),
        algorithm(-35, 'ES384', 'Rare.'),
        algorithm(-36, 'ES512', 'Rare.'),
        algorithm(-37, 'PS256', 'Rare.'),
        algorithm(-49, 'ML-DSA-65', 'Withstands quantum computers, with larger keys. Rare.'),
        algorithm(-50, 'ML-DSA-87', 'Withstands quantum computers, with the largest keys. Rare.'),
      ],
    },
  },
  {
    pointer: '/policy/backup',
    title: 'Synced or device-bound',
    does: 'May a passkey be copied to other devices of its user?',
    appliesTo: 'both',
    standard: 'any',
    form: { kind: 'choice', choices: BACKUP },
  },
  {
    pointer: '/policy/maxCredentialsPerUser',
    title: 'Passkeys of a user',
    does: 'How many passkeys may a user have?',
    breaks: 'A user who has as many already cannot register another one. Firefox reads only the first 20 of a list.',
    appliesTo: 'registrations',
    standard: 20,
    form: { kind: 'number', minimum: 1, maximum: 64, unit: 'passkeys' },
  },
  {
    pointer: '/policy/challengeTtlSeconds',
    title: 'Life of a challenge',
    does: 'How long may a user take between the beginning of a ceremony and its answer?',
    breaks:
      'Too short, and users who look for their security key are refused with challenge-spent. Too long, and a page that was left open can still be used.',
    appliesTo: 'both',
    standard: 300,
    form: CHALLENGE_TTL,
  },
  {
    pointer: '/policy/signCountRegression',
    title: 'A sign count that does not grow',
    does: 'What happens when a passkey’s counter shows that it may have been copied?',
    appliesTo: 'sign-ins',
    standard: 'reject',
    form: {
      kind: 'choice',
      choices: [
        {
          value: 'reject',
          label: 'reject',
          does: 'The sign-in is refused.',
          breaks: 'Models whose firmware forgets its counter are refused, too.',
        },
        {
          value: 'flag',
          label: 'flag',
          does: 'The sign-in succeeds, and the answer names the risk.',
          breaks: 'A copied passkey works until the caller or an operator acts on the risk.',
        },
      ],
    },
  },
  {
    pointer: '/policy/backupEligibilityChange',
    title: 'A passkey that becomes backup eligible',
    does: 'What happens when a device-bound passkey turns into a synced one?',
    appliesTo: 'sign-ins',
    standard: 'reject',
    form: {
      kind: 'choice',
      choices: [
        {
          value: 'reject',
          label: 'reject',
          does: 'It is refused, as WebAuthn demands.',
          breaks: 'Users of early versions of some password managers are locked out, and cannot register again there.',
        },
        {
          value: 'accept-growth',
          label: 'accept-growth',
          does: 'It is accepted once, kept as backup eligible, and the answer names the risk.',
          breaks: 'A passkey that was bound to its device leaves it. The opposite change stays refused.',
        },
      ],
    },
  },
];
