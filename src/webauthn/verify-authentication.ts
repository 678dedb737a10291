import {
  type AssertionExpectation,
  type AuthenticationResponseJSON,
  decodeAssertion,
  type VerifiedAuthentication,
  verifyAssertion,
} from './assertion.js';
import { verifyClientData } from './client-data.js';

export type { AuthenticationResponseJSON, VerifiedAuthentication };

export interface AuthenticationExpectation extends AssertionExpectation {
  readonly origins: readonly string[];
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly challenge: Buffer;
}

/**
 * Verifies an authentication, WebAuthn L3 §7.2 steps 6-21. The caller checks the sign count (step 22) where it stores
 * it, once the signature is verified.
 *
 * @throws Refusal
 */
export function verifyAuthentication(
  answer: AuthenticationResponseJSON,
  expected: AuthenticationExpectation,
): VerifiedAuthentication {
  // Steps 6 and 7.
  const assertion = decodeAssertion(answer, expected.credential);
  const { challenge, origins, crossOrigin } = expected;
  // Steps 8 to 14.
  const { bytes } = verifyClientData(answer.response.clientDataJSON, {
    type: 'webauthn.get',
    challenge,
    origins,
    crossOrigin,
  });
  // Steps 15 to 21.
  return verifyAssertion(assertion, bytes, expected);
}
