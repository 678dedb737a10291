import { type AuthenticationResponseJSON, verifyAuthenticationResponse } from '@simplewebauthn/server';
import { parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import { bytesOf } from './base64url.js';
import { decodeWhole } from './cbor.js';
import { verifyClientData } from './client-data.js';
import { at, Refusal, step } from './verdict.js';

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
export async function verifyAuthentication(
  response: AuthenticationResponseJSON,
  expected: AuthenticationExpectation,
): Promise<VerifiedAuthentication> {
  at('§7.2', 6, () => {
    const credentialId = expected.credential.credentialId.toString('base64url');
    const same = response.id === credentialId && response.rawId === credentialId;
    step(same, 'credential-id-invalid', 'id and rawId are not those of the credential');
  });
  const data = at('§7.2', 7, () => {
    bytesOf(response.response.signature, 'signature');
    return parseAuthenticatorData(bytesOf(response.response.authenticatorData, 'authenticatorData'));
  });
  const { challenge, origins, crossOrigin } = expected;
  const topOrigin = verifyClientData(response.response.clientDataJSON, {
    type: 'webauthn.get',
    challenge,
    origins,
    crossOrigin,
  });
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
  await at('§7.2', 21, () => verifySignature(response, expected, topOrigin));
  return { signCount: data.signCount, userVerified: data.userVerified, backedUp: data.backedUp };
}

/** §7.2 step 21. All that the library checks besides was checked before, so what it refuses is the signature. */
async function verifySignature(
  response: AuthenticationResponseJSON,
  expected: AuthenticationExpectation,
  topOrigin: string | undefined,
): Promise<void> {
  const { credential } = expected;
  step(
    !isEcdsa(credential.publicKey) || isWholeSequence(bytesOf(response.response.signature, 'signature')),
    'signature-invalid',
    'the signature is not one DER sequence',
  );
  let verified = false;
  try {
    const outcome = await verifyAuthenticationResponse({
      response,
      expectedChallenge: expected.challenge.toString('base64url'),
      expectedOrigin: [...expected.origins],
      expectedRPID: expected.rpId,
      ...(topOrigin !== undefined && { expectedTopOrigin: topOrigin }),
      requireUserVerification: expected.requireUserVerification,
      credential: { id: response.id, publicKey: new Uint8Array(credential.publicKey), counter: 0 },
    });
    verified = outcome.verified;
  } catch {
    // The library throws for a signature that it cannot parse.
  }
  if (!verified) throw new Refusal('signature-invalid', 'the signature does not hold for the registered public key');
}

function isEcdsa(publicKey: Buffer): boolean {
  return (decodeWhole(publicKey, 'publicKey') as ReadonlyMap<unknown, unknown>).get(1) === 2;
}

/** The library takes an ECDSA signature with any bytes behind it. */
function isWholeSequence(signature: Buffer): boolean {
  const [tag, first = 0, second = 0] = signature;
  return tag === 0x30 && signature.length === (first === 0x81 ? second + 3 : first + 2);
}
