import type { components } from './contract.ts';

type UserSignals = components['schemas']['UserSignals'];

/**
 * Makes the signals that remove every passkey of an erased user from the browser. Pass `allAcceptedCredentials` and each of
 * `otherHandles` to `PublicKeyCredential.signalAllAcceptedCredentials()` after eraseUser() has succeeded.
 *
 * @param signals the result of getUserSignals() before the erasure, which deletes the user handles that the browser
 * knows
 */
export function makeErasureSignals({ allAcceptedCredentials, otherHandles }: UserSignals): UserSignals {
  const forget = <Accepted extends object>(accepted: Accepted) => ({ ...accepted, allAcceptedCredentialIds: [] });
  return {
    allAcceptedCredentials: forget(allAcceptedCredentials),
    ...(otherHandles && { otherHandles: otherHandles.map(forget) }),
  };
}
