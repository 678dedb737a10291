import { hash } from 'node:crypto';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { type AuthenticatorData, parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { decodeBase64url } from './client-data.js';
import { refuseUnless, step } from './refusal.js';
import { verifyAssertionSignature } from './signature.js';

/*
 * The steps of WebAuthn L3 §7.2 that a sign-in and a payment have in common, except those of the client data:
 * client-data.ts has them.
 */

export type { AuthenticationResponseJSON };

/** The stored credential record. */
export interface CredentialRecord {
  readonly credentialId: Buffer;
  /** The COSE_Key's bytes. */
  readonly publicKey: Buffer;
  /** null: not known, as the flag BE of its registration was not kept. Then this assertion tells it. */
  readonly backupEligible: boolean | null;
}

/** The values that an assertion expects, besides those of its client data. */
export interface AssertionExpectation {
  readonly rpId: string;
  readonly requireUserVerification: boolean;
  /** Lets a credential become backup eligible after its registration. */
  readonly allowBackupGrowth: boolean;
  readonly credential: CredentialRecord;
}

/** An answer whose client data is not decoded yet. */
export interface DecodedAssertion {
  readonly signature: Buffer;
  /** The bytes that the authenticator signed. */
  readonly authenticatorData: Buffer;
  readonly data: AuthenticatorData;
}

/** What the authenticator says of itself, once its signature holds. */
export interface VerifiedAuthentication {
  readonly signCount: number;
  readonly userVerified: boolean;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
}

/** Compares the ids and decodes the rest: WebAuthn L3 §7.2 steps 6 and 7. @throws Refusal */
export function decodeAssertion(
  { id, rawId, response }: AuthenticationResponseJSON,
  credential: CredentialRecord,
): DecodedAssertion {
  step('§7.2', 6, () => {
    const credentialId = credential.credentialId.toString('base64url');
    const same = id === credentialId && rawId === credentialId;
    refuseUnless(same, 'credential-id-invalid', 'id and rawId are not both the id of the credential');
  });
  return step('§7.2', 7, () => {
    const authenticatorData = decodeBase64url(response.authenticatorData, 'authenticatorData');
    const signature = decodeBase64url(response.signature, 'signature');
    return { signature, authenticatorData, data: parseAuthenticatorData(authenticatorData) };
  });
}

/**
 * Verifies the RP ID, the flags and the signature: WebAuthn L3 §7.2 steps 15-21.
 *
 * @param clientData the bytes that step 8 decoded
 * @throws Refusal
 */
export function verifyAssertion(
  { signature, authenticatorData, data }: DecodedAssertion,
  clientData: Buffer,
  { rpId, requireUserVerification, allowBackupGrowth, credential }: AssertionExpectation,
): VerifiedAuthentication {
  // Steps 15 to 18.
  verifyAuthenticatorData('§7.2', data, { rpId, requireUserPresence: true, requireUserVerification });
  step('§7.2', 19, () => {
    const [now, before] = [data.backupEligible, credential.backupEligible];
    refuseUnless(
      before === null || now === before || (now && allowBackupGrowth),
      'backup-eligibility-changed',
      now
        ? 'the passkey can be backed up now (BE is set), but could not be at registration; the relying party’s policy can ' +
            'allow this with backupEligibilityChange: accept-growth'
        : 'the passkey cannot be backed up now (BE is not set), but could be at registration; an authenticator never does ' +
            'that, so the user should register a new passkey',
    );
  });
  const clientDataHash = step('§7.2', 20, () => hash('sha256', clientData, 'buffer'));
  step('§7.2', 21, () => {
    const signed = Buffer.concat([authenticatorData, clientDataHash]);
    refuseUnless(
      verifyAssertionSignature(credential.publicKey, signed, signature),
      'signature-invalid',
      'the signature was not made by the key that was registered, over this authenticator data and client data',
    );
  });
  const { signCount, userVerified, backupEligible, backedUp } = data;
  return { signCount, userVerified, backupEligible, backedUp };
}
