import { Problem } from '../http/problem.js';
import type { IdentityProofDto } from './dto/issue-challenge.dto.js';

/** How far another clock may be ahead of this one, in milliseconds: a caller's, or that of another replica. */
export const CLOCK_SKEW_MS = 60_000;

const IDENTIFY = 'Identify the user now, and ask for a challenge with the time and the method of that identification.';
const SET_CLOCK = 'Set the clock of the service that identifies users.';

/**
 * Demands that the caller identified the user a short time ago, as PCI DSS 8.3.3 requires before a user gets a new
 * authentication factor.
 *
 * @throws Problem policy-rejected
 */
export function demandIdentityProof(
  proof: IdentityProofDto | undefined,
  policy: { readonly required: boolean; readonly maxAgeSeconds: number },
  now: Date,
): void {
  if (!policy.required) return;
  if (!proof) reject('identity-proof-missing', 'the request has no identityProof, which the policy demands', IDENTIFY);
  const age = now.getTime() - Date.parse(proof.verifiedAt.toUpperCase());
  if (age < -CLOCK_SKEW_MS) reject('identity-proof-invalid', 'identityProof.verifiedAt is in the future', SET_CLOCK);
  if (age > policy.maxAgeSeconds * 1_000) {
    reject(
      'identity-proof-too-old',
      `identityProof.verifiedAt is more than ${String(policy.maxAgeSeconds)} seconds ago`,
      IDENTIFY,
    );
  }
}

function reject(reason: string, detail: string, advice: string): never {
  throw new Problem('policy-rejected', { reason, detail, advice });
}
