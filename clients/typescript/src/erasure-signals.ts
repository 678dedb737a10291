import type { components } from './contract.ts';

type UserSignals = components['schemas']['UserSignals'];

/**
 * Makes the signal that removes every passkey of an erased user from the browser. Pass it to
 * `PublicKeyCredential.signalAllAcceptedCredentials()` after eraseUser() has succeeded.
 *
 * @param signals the result of getUserSignals() before the erasure, which deletes the user handle that the browser
 * knows
 */
export function makeErasureSignals({ allAcceptedCredentials }: UserSignals): UserSignals {
  return { allAcceptedCredentials: { ...allAcceptedCredentials, allAcceptedCredentialIds: [] } };
}
