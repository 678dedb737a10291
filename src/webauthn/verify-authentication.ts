import { hash } from 'node:crypto';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { decodeBase64url, verifyClientData } from './client-data.js';
import { verifyAssertionSignature } from './signature.js';
import { refuseUnless, step } from './refusal.js';

export type { AuthenticationResponseJSON };

export interface AuthenticationExpectation {
  readonly rpId: string;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly challenge: Buffer;
  readonly requireUserVerification: boolean;
  /** Lets a credential become backup eligible after its registration. */
  readonly allowBackupGrowth: boolean;
  /** The stored credential record. */
  readonly credential: {
    readonly credentialId: Buffer;
    readonly publicKey: Buffer;
    readonly backupEligible: boolean;
  };
}

export interface VerifiedAuthentication {
  readonly signCount: number;
  readonly userVerified: boolean;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
}

/**
 * Verifies an authentication, WebAuthn L3 §7.2 steps 6-21. The caller checks the sign count (step 22) where it stores
 * it, once the signature is verified.
 *
 * @throws Refusal
 */
export function verifyAuthentication(
  { id, rawId, response }: AuthenticationResponseJSON,
  expected: AuthenticationExpectation,
): VerifiedAuthentication {
  step('§7.2', 6, () => {
    const credentialId = expected.credential.credentialId.toString('base64url');
    const same = id === credentialId && rawId === credentialId;
    refuseUnless(same, 'credential-id-invalid', 'id and rawId are not both the id of the credential');
  });
  const [signature, authenticatorData, data] = step('§7.2', 7, () => {
    const bytes = decodeBase64url(response.authenticatorData, 'authenticatorData');
    return [decodeBase64url(response.signature, 'signature'), bytes, parseAuthenticatorData(bytes)];
  });
  const { challenge, origins, crossOrigin } = expected;
  // Steps 8 to 14.
  verifyClientData(response.clientDataJSON, { type: 'webauthn.get', challenge, origins, crossOrigin });
  // Steps 15 to 18.
  verifyAuthenticatorData('§7.2', data, {
    rpId: expected.rpId,
    requireUserPresence: true,
    requireUserVerification: expected.requireUserVerification,
  });
  step('§7.2', 19, () => {
    const [now, before] = [data.backupEligible, expected.credential.backupEligible];
    refuseUnless(
      now === before || (now && expected.allowBackupGrowth),
      'backup-eligibility-changed',
      now
        ? 'the passkey can be backed up now (BE is set), but could not be at registration; the relying party’s policy can ' +
            'allow this with backupEligibilityChange: accept-growth'
        : 'the passkey cannot be backed up now (BE is not set), but could be at registration; an authenticator never does ' +
            'that, so the user should register a new passkey',
    );
  });
  const clientDataHash = step('§7.2', 20, () =>
    hash('sha256', Buffer.from(response.clientDataJSON, 'base64url'), 'buffer'),
  );
  step('§7.2', 21, () => {
    const holds = verifyAssertionSignature(
      expected.credential.publicKey,
      Buffer.concat([authenticatorData, clientDataHash]),
      signature,
    );
    refuseUnless(
      holds,
      'signature-invalid',
      'the signature was not made by the key that was registered, over this authenticator data and client data',
    );
  });
  const { signCount, userVerified, backupEligible, backedUp } = data;
  return { signCount, userVerified, backupEligible, backedUp };
}
