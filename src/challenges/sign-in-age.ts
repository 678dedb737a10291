import { Problem } from '../http/problem.js';
import type { EnrolledPasskey } from '../relying-parties/enrolled-credentials.js';
import type { AppliedPolicy } from '../relying-parties/purposes.js';
import { CLOCK_SKEW_MS } from './identity-proof.js';

/** True if the purpose asks when the user has signed in last. */
export function hasMaxAge({ maxAgeSeconds }: Pick<AppliedPolicy, 'maxAgeSeconds'>): boolean {
  return maxAgeSeconds !== Infinity;
}

/**
 * Demands, if the purpose does, that the user has signed in a short time ago, with any of the passkeys that are active now. The refusal is the same
 * for a user who never did and for whoever is no user.
 *
 * @param passkeys the user's active ones
 * @throws Problem policy-rejected
 */
export function demandRecentSignIn(
  passkeys: readonly Pick<EnrolledPasskey, 'lastSignInAt'>[],
  { maxAgeSeconds }: Pick<AppliedPolicy, 'maxAgeSeconds'>,
  now: Date,
): void {
  if (!hasMaxAge({ maxAgeSeconds })) return;
  const isRecent = passkeys.some(({ lastSignInAt }) => {
    const age = lastSignInAt ? now.getTime() - lastSignInAt.getTime() : Infinity;
    return age >= -CLOCK_SKEW_MS && age <= maxAgeSeconds * 1_000;
  });
  if (isRecent) return;
  throw new Problem('policy-rejected', {
    reason: 'sign-in-too-old',
    detail: `the purpose demands that the user has signed in within ${String(maxAgeSeconds)} seconds, with a passkey that is still active`,
    advice: 'Let the user sign in, and then ask for a challenge of this purpose.',
  });
}
