import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialDescriptorJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { BROWSER_KEY_PARAMS } from './browser-bound-key.js';

/** The library's types of the JSON that browsers and relying parties exchange (WebAuthn L3 §5.1). */
export type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialDescriptorJSON,
  PublicKeyCredentialRequestOptionsJSON,
};

type Attachment = 'platform' | 'cross-platform';

/** The members of a relying party that its options reveal to a client. */
export interface OptionsPolicy {
  readonly userVerification: 'required' | 'preferred' | 'discouraged';
  readonly residentKey: 'required' | 'preferred' | 'discouraged';
  readonly attestation: { readonly conveyance: 'none' | 'indirect' | 'direct' | 'enterprise' };
  readonly algorithms: readonly number[];
  readonly challengeTtlSeconds: number;
}

/** JSON for `PublicKeyCredential.parseCreationOptionsFromJSON()` (WebAuthn L3 §5.1.9), with the members of level 3. */
export type CreationOptions = Omit<PublicKeyCredentialCreationOptionsJSON, 'attestation' | 'extensions'> & {
  attestation: 'none' | 'indirect' | 'direct' | 'enterprise';
  extensions: {
    credProps: true;
    payment?: { isPayment: true; browserBoundPubKeyCredParams: typeof BROWSER_KEY_PARAMS };
  };
};

/** What the caller asks of a registration, as far as user verification depends on it. */
interface RegistrationKind {
  /** A conditional create asks the user for nothing, so it cannot require user verification (WebAuthn L3 §5.1.3). */
  readonly conditional: boolean;
  /**
   * True for a passkey that shall confirm payments. The browser then demands the platform attachment, required user
   * verification, and a resident key that is not discouraged (SPC §5); the caller has set the attachment.
   */
  readonly payment: boolean;
}

export async function makeCreationOptions(
  ceremony: RegistrationKind & {
    rp: { id: string; name: string };
    user: { handle: Buffer; name: string; displayName: string };
    challenge: Buffer;
    policy: OptionsPolicy;
    exclude: PublicKeyCredentialDescriptorJSON[];
    attachment: Attachment | undefined;
    hints: string[] | undefined;
  },
): Promise<CreationOptions> {
  const { rp, user, policy, attachment, payment } = ceremony;
  const {
    hints: _,
    extensions: __,
    ...options
  } = await generateRegistrationOptions({
    rpID: rp.id,
    rpName: rp.name,
    challenge: Uint8Array.from(ceremony.challenge),
    userID: Uint8Array.from(user.handle),
    userName: user.name,
    userDisplayName: user.displayName,
    supportedAlgorithmIDs: [...policy.algorithms],
    timeout: policy.challengeTtlSeconds * 1_000,
    excludeCredentials: ceremony.exclude,
    authenticatorSelection: {
      residentKey: payment && policy.residentKey === 'discouraged' ? 'preferred' : policy.residentKey,
      userVerification: chooseUserVerification(policy, ceremony),
      ...(attachment && { authenticatorAttachment: attachment }),
    },
  });
  return {
    ...options,
    attestation: policy.attestation.conveyance,
    extensions: {
      credProps: true,
      ...(payment && { payment: { isPayment: true, browserBoundPubKeyCredParams: BROWSER_KEY_PARAMS } }),
    },
    ...toHints(ceremony),
  };
}

/** The user verification that a registration asks for: one for payments requires it, a conditional one cannot. */
export function chooseUserVerification<Demand extends string>(
  { userVerification }: { readonly userVerification: Demand },
  { conditional, payment }: RegistrationKind,
): Demand | 'required' | 'preferred' {
  if (payment) return 'required';
  return conditional && userVerification === 'required' ? 'preferred' : userVerification;
}

/** JSON for `PublicKeyCredential.parseRequestOptionsFromJSON()` (WebAuthn L3 §5.1.10). */
export async function makeRequestOptions(ceremony: {
  rpId: string;
  challenge: Buffer;
  policy: OptionsPolicy;
  allow: PublicKeyCredentialDescriptorJSON[];
  hints: string[] | undefined;
}): Promise<PublicKeyCredentialRequestOptionsJSON> {
  const { rpId, challenge, policy, allow } = ceremony;
  const { extensions: _, ...options } = await generateAuthenticationOptions({
    rpID: rpId,
    challenge: Uint8Array.from(challenge),
    allowCredentials: allow,
    timeout: policy.challengeTtlSeconds * 1_000,
    userVerification: policy.userVerification,
  });
  return { ...options, ...toHints(ceremony) };
}

function toHints({ hints }: { hints: string[] | undefined }): Pick<PublicKeyCredentialRequestOptionsJSON, 'hints'> {
  return hints ? { hints: hints as NonNullable<PublicKeyCredentialRequestOptionsJSON['hints']> } : {};
}
