import { refuseUnless } from '../webauthn/refusal.js';
import { verifyAuthentication } from '../webauthn/verify-authentication.js';
import type { AssertionRules } from './accept-authentication.js';

/** @returns the rules of a sign-in for a purpose; undefined: for none */
export function makeSignInRules(purpose: string | undefined): AssertionRules {
  return {
    ceremony: 'authentication',
    type: 'credential.verify',
    demand: (challenge) => {
      refuseUnless(
        challenge.purpose === purpose,
        'purpose-mismatch',
        `the purpose is ${purpose ?? 'absent'}; the purpose of the challenge is ${challenge.purpose ?? 'absent'}`,
      );
    },
    verify: verifyAuthentication,
  };
}
