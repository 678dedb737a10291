import { POLICY_SETTINGS, BACKUP, CHALLENGE_TTL, MAX_AGE, TRUST, USER_VERIFICATION } from './policy-settings.js';
import { chooseYesOrNo, type Setting } from './setting.js';

/** The settings beside the policy. */
const IDENTITY_SETTINGS: readonly Setting[] = [
  {
    pointer: '/name',
    title: 'Name',
    does: 'How do browsers name the relying party to the user?',
    appliesTo: 'registrations',
    standard: null,
    form: { kind: 'text', maximum: 256 },
  },
  {
    pointer: '/origins',
    title: 'Origins',
    does: 'On which pages and in which apps may passkeys of this RP ID be used?',
    breaks:
      'Users on a page that is not listed are refused with origin-mismatch. Whoever controls a listed origin can ask users for their passkeys.',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'lines', of: 'origin', maximum: 100, optional: false },
  },
  {
    pointer: '/enabled',
    title: 'Switched on',
    does: 'Does the relying party accept ceremonies?',
    appliesTo: 'both',
    standard: true,
    form: chooseYesOrNo(
      { does: 'Users can register and sign in.' },
      { does: 'Every ceremony is refused.', breaks: 'Nobody can register or sign in.' },
    ),
  },
];

const SUCCESSOR_SETTINGS: readonly Setting[] = [
  {
    pointer: '/successor/rpId',
    title: 'Successor',
    does: 'Which relying party takes over when the domain changes? Absent, there is none.',
    breaks: 'Callers lead users there. Each needs a new passkey, because a passkey belongs to one RP ID for good.',
    appliesTo: 'nothing',
    standard: null,
    form: { kind: 'domain' },
  },
  {
    pointer: '/successor/endsAt',
    title: 'End',
    does: 'From when on is every ceremony refused? Absent, the relying party goes on beside its successor.',
    breaks: 'From then on, users who have no passkey at the successor cannot sign in.',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'time' },
  },
  {
    pointer: '/successor/registrations',
    title: 'Registrations beside a successor',
    does: 'May users still register passkeys here?',
    appliesTo: 'registrations',
    standard: 'accept',
    form: {
      kind: 'choice',
      choices: [
        {
          value: 'accept',
          label: 'accept',
          does: 'Yes.',
          breaks: 'Passkeys that are registered now stop working at the end.',
        },
        { value: 'refuse', label: 'refuse', does: 'No: users register at the successor.' },
      ],
    },
  },
];

const FURTHER_POLICY_SETTINGS: readonly Setting[] = [
  {
    pointer: '/policy/allowSha1Tpm',
    title: 'TPM attestations with SHA-1',
    does: 'Are the attestations of Windows Hello trusted, although they rely on SHA-1?',
    appliesTo: 'registrations',
    standard: false,
    form: chooseYesOrNo(
      { does: 'Yes, so Windows Hello can be trusted.', breaks: 'The proof of the model rests on a weak hash.' },
      { does: 'No: they count as untrusted.', breaks: 'Where trust is demanded, Windows Hello cannot register.' },
    ),
  },
  {
    pointer: '/policy/browserKeys/unknown',
    title: 'Browsers that are new to a passkey',
    does: 'What does a payment get from a browser that the service does not know yet?',
    appliesTo: 'sign-ins',
    standard: 'accept',
    form: {
      kind: 'choice',
      choices: [
        {
          value: 'accept',
          label: 'accept',
          does: 'It is accepted, the browser is trusted from then on, and the answer names the risk.',
          breaks: 'A copied passkey pays from any device.',
        },
        {
          value: 'step-up',
          label: 'step-up',
          does: 'It is accepted, and each answer names the risk until the caller trusts the browser.',
          breaks: 'The caller must identify the user in another way, or ignore the risk.',
        },
        {
          value: 'refuse',
          label: 'refuse',
          does: 'It is refused, once the passkey has a browser that is trusted.',
          breaks: 'Users who change their browser or device cannot pay until the caller trusts it.',
        },
      ],
    },
  },
  {
    pointer: '/policy/crossOrigin/allow',
    title: 'Ceremonies in frames of other pages',
    does: 'May a ceremony run in a frame that another site embeds?',
    appliesTo: 'both',
    standard: false,
    form: chooseYesOrNo(
      { does: 'Yes, on the sites that are listed below.', breaks: 'The site around the frame can mislead the user.' },
      { does: 'No.', breaks: 'Embedded sign-ins are refused with cross-origin-denied.' },
    ),
  },
  {
    pointer: '/policy/crossOrigin/topOrigins',
    title: 'Sites that may embed a ceremony',
    does: 'Which origins may embed it, if frames are allowed?',
    breaks: 'An empty list allows every site.',
    appliesTo: 'both',
    standard: [],
    form: { kind: 'lines', of: 'origin', maximum: 100, optional: false },
  },
  {
    pointer: '/policy/identityProof/required',
    title: 'Proof of identity before a registration',
    does: 'Must the caller say how it knows that the user is who they claim to be?',
    appliesTo: 'registrations',
    standard: true,
    form: chooseYesOrNo(
      { does: 'Yes, as PCI DSS 8.3.3 demands.', breaks: 'Callers that send no identityProof cannot register users.' },
      { does: 'No.', breaks: 'Nothing in the log says how the user of a new passkey was identified.' },
    ),
  },
  {
    pointer: '/policy/identityProof/maxAgeSeconds',
    title: 'Age of the proof of identity',
    does: 'How old may it be?',
    breaks:
      'Too short, and slow users are refused with identity-proof-too-old. Too long, and a stolen session registers a passkey.',
    appliesTo: 'registrations',
    standard: 900,
    form: MAX_AGE,
  },
  {
    pointer: '/policy/userLimits/challengesPerMinute',
    title: 'Challenges of a user in a minute',
    does: 'How often may a ceremony be begun for one user?',
    breaks: 'Too few, and a page that asks often shuts its user out with too-many-challenges.',
    appliesTo: 'both',
    standard: 120,
    form: { kind: 'number', minimum: 1, maximum: 10_000, unit: 'challenges' },
  },
  {
    pointer: '/policy/userLimits/refusalsPerHalfHour',
    title: 'Refusals in a row',
    does: 'After how many refused authentications does a user have to wait for half an hour?',
    breaks: 'PCI DSS 8.3.4 demands at most 10. Few let somebody shut out a user by failing on purpose.',
    appliesTo: 'sign-ins',
    standard: 100,
    form: { kind: 'number', minimum: 1, maximum: 1_000, unit: 'refusals' },
  },
  {
    pointer: '/policy/purposes',
    title: 'Purposes',
    does: 'What do ceremonies of one purpose, such as step-up or pay, demand instead of the policy?',
    breaks: 'A purpose may demand less than the policy. A caller that misspells its name follows the policy alone.',
    appliesTo: 'both',
    standard: {},
    form: { kind: 'purposes' },
  },
];

/** The demands of a purpose. The pointer is that within the purpose; absent, the policy's value counts. */
export const PURPOSE_SETTINGS: readonly Setting[] = [
  {
    pointer: '/userVerification',
    title: 'User verification',
    does: 'Must the authenticator check a PIN or biometrics for this purpose?',
    appliesTo: 'both',
    standard: null,
    form: USER_VERIFICATION,
  },
  {
    pointer: '/challengeTtlSeconds',
    title: 'Life of a challenge',
    does: 'How long may a user take for this purpose?',
    appliesTo: 'both',
    standard: null,
    form: CHALLENGE_TTL,
  },
  {
    pointer: '/backup',
    title: 'Synced or device-bound',
    does: 'Which kind of passkey may be used for this purpose?',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'choice', choices: BACKUP },
  },
  {
    pointer: '/attestation',
    title: 'Attestation',
    does: 'Must the model of the passkey have been proved at its registration?',
    appliesTo: 'both',
    standard: null,
    form: { kind: 'choice', choices: TRUST },
  },
  {
    pointer: '/maxAgeSeconds',
    title: 'Age of the last sign-in',
    does: 'How long ago may the user have signed in, for this purpose to begin?',
    breaks: 'Nobody has signed in yet in the moment in which you set it first: every user signs in once.',
    appliesTo: 'both',
    standard: null,
    form: MAX_AGE,
  },
];

export const PARTY_SETTINGS: readonly Setting[] = [
  ...IDENTITY_SETTINGS,
  ...POLICY_SETTINGS,
  ...FURTHER_POLICY_SETTINGS,
  ...SUCCESSOR_SETTINGS,
];

/** The explanation of a setting, also of a member of a purpose. @returns undefined for a pointer that is none */
export function findSetting(pointer: string): Setting | undefined {
  const member = /^\/policy\/purposes\/[^/]+(\/[^/]+)$/.exec(pointer)?.[1];
  if (member !== undefined) return PURPOSE_SETTINGS.find((setting) => setting.pointer === member);
  return PARTY_SETTINGS.find((setting) => setting.pointer === pointer);
}
