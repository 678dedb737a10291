import { Problem } from '../http/problem.js';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';

/** The number of passkeys that a user may have. A browser accepts no longer list. */
export function getCredentialCapacity(maxCredentialsPerUser: number): number {
  return Math.min(maxCredentialsPerUser, MAX_CREDENTIALS_PER_USER);
}

/** @throws Problem policy-rejected */
export function demandCredentialCapacity(credentials: number, maxCredentialsPerUser: number): void {
  const max = getCredentialCapacity(maxCredentialsPerUser);
  if (credentials < max) return;
  throw new Problem('policy-rejected', {
    reason: 'too-many-credentials',
    detail: `the user has ${String(credentials)} passkeys; the policy allows ${String(max)}`,
    advice: 'Let the user choose a passkey to revoke. Or raise the policy’s maxCredentialsPerUser, to at most 64.',
  });
}
