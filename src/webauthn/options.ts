import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialDescriptorJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';

type Attachment = 'platform' | 'cross-platform';

/** The members of a relying party that its options show to a client. */
export interface OptionsPolicy {
  readonly userVerification: 'required' | 'preferred' | 'discouraged';
  readonly residentKey: 'required' | 'preferred' | 'discouraged';
  readonly attestation: { readonly conveyance: 'none' | 'indirect' | 'direct' | 'enterprise' };
  readonly algorithms: readonly number[];
  readonly challengeTtlSeconds: number;
}

/** JSON as `PublicKeyCredential.parseCreationOptionsFromJSON()` takes it (WebAuthn L3 §5.1.9), level 3 members included. */
export type CreationOptions = Omit<PublicKeyCredentialCreationOptionsJSON, 'attestation'> & {
  attestation: 'none' | 'indirect' | 'direct' | 'enterprise';
};

export function creationOptions(ceremony: {
  rp: { id: string; name: string };
  user: { handle: Buffer; name: string; displayName: string };
  challenge: Buffer;
  policy: OptionsPolicy;
  exclude: PublicKeyCredentialDescriptorJSON[];
  attachment: Attachment | undefined;
  /** A conditional create asks the user for nothing, so the client answers without user verification (WebAuthn L3 §5.1.3). */
  conditional: boolean;
  hints: string[] | undefined;
}): CreationOptions {
  const { policy, user, attachment, hints } = ceremony;
  return {
    rp: ceremony.rp,
    user: { id: user.handle.toString('base64url'), name: user.name, displayName: user.displayName },
    challenge: ceremony.challenge.toString('base64url'),
    pubKeyCredParams: policy.algorithms.map((alg) => ({ type: 'public-key', alg })),
    timeout: policy.challengeTtlSeconds * 1_000,
    excludeCredentials: ceremony.exclude,
    authenticatorSelection: {
      residentKey: policy.residentKey,
      requireResidentKey: policy.residentKey === 'required',
      userVerification: registrationVerification(policy, ceremony.conditional),
      ...(attachment && { authenticatorAttachment: attachment }),
    },
    ...(hints && { hints: hints as NonNullable<PublicKeyCredentialCreationOptionsJSON['hints']> }),
    attestation: policy.attestation.conveyance,
    extensions: { credProps: true },
  };
}

/** The user verification that a registration asks for. */
export function registrationVerification<Demand extends string>(
  { userVerification }: { readonly userVerification: Demand },
  conditional: boolean,
): Demand | 'preferred' {
  return conditional && userVerification === 'required' ? 'preferred' : userVerification;
}

/** JSON as `PublicKeyCredential.parseRequestOptionsFromJSON()` takes it (WebAuthn L3 §5.1.10). */
export function requestOptions(ceremony: {
  rpId: string;
  challenge: Buffer;
  policy: OptionsPolicy;
  allow: PublicKeyCredentialDescriptorJSON[];
  hints: string[] | undefined;
}): PublicKeyCredentialRequestOptionsJSON {
  return {
    challenge: ceremony.challenge.toString('base64url'),
    rpId: ceremony.rpId,
    timeout: ceremony.policy.challengeTtlSeconds * 1_000,
    allowCredentials: ceremony.allow,
    userVerification: ceremony.policy.userVerification,
    ...(ceremony.hints && { hints: ceremony.hints as NonNullable<PublicKeyCredentialRequestOptionsJSON['hints']> }),
  };
}
