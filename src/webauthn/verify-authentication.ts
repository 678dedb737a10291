import { hash } from 'node:crypto';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { signatureHolds } from './signature.js';
import { verifyClientData } from './client-data.js';
import { at, step } from './verdict.js';

export interface AuthenticationExpectation {
  readonly rpId: string;
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly challenge: Buffer;
  readonly requireUserVerification: boolean;
  /** The credential record that was looked up. */
  readonly credential: {
    readonly credentialId: Buffer;
    readonly publicKey: Buffer;
    readonly backupEligible: boolean;
  };
}

export interface VerifiedAuthentication {
  readonly signCount: number;
  readonly userVerified: boolean;
  readonly backedUp: boolean;
}

/**
 * Authentication ceremony, WebAuthn L3 §7.2 steps 7-21. The sign count (step 22) is the caller's: it is judged where it
 * is stored, after the signature holds.
 *
 * @throws Refusal
 */
export function verifyAuthentication(
  { id, rawId, response }: AuthenticationResponseJSON,
  expected: AuthenticationExpectation,
): VerifiedAuthentication {
  at('§7.2', 6, () => {
    const credentialId = expected.credential.credentialId.toString('base64url');
    const same = id === credentialId && rawId === credentialId;
    step(same, 'credential-id-invalid', 'id and rawId are not those of the credential');
  });
  const [signature, authenticatorData, data] = at('§7.2', 7, () => {
    const bytes = bytesOf(response.authenticatorData, 'authenticatorData');
    return [bytesOf(response.signature, 'signature'), bytes, parseAuthenticatorData(bytes)];
  });
  const { challenge, origins, crossOrigin } = expected;
  verifyClientData(response.clientDataJSON, { type: 'webauthn.get', challenge, origins, crossOrigin });
  verifyAuthenticatorData('§7.2', data, {
    rpId: expected.rpId,
    requireUserPresence: true,
    requireUserVerification: expected.requireUserVerification,
  });
  at('§7.2', 19, () => {
    const [now, before] = [data.backupEligible, expected.credential.backupEligible];
    step(
      now === before,
      'backup-eligibility-changed',
      `BE is ${String(now)}; it was ${String(before)} at registration`,
    );
  });
  const clientDataHash = at('§7.2', 20, () =>
    hash('sha256', Buffer.from(response.clientDataJSON, 'base64url'), 'buffer'),
  );
  at('§7.2', 21, () => {
    const holds = signatureHolds(
      expected.credential.publicKey,
      Buffer.concat([authenticatorData, clientDataHash]),
      signature,
    );
    step(holds, 'signature-invalid', 'the signature does not hold for the registered public key');
  });
  return { signCount: data.signCount, userVerified: data.userVerified, backedUp: data.backedUp };
}
