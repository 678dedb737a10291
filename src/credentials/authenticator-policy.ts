import { authenticatorName } from '../authenticators/authenticator-names.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { step } from '../webauthn/verdict.js';

/** Asked at registration and again at every authentication, so that a model that is denied today stops working today. @throws Refusal */
export function demandAllowedModel(
  { allow, deny, unknown }: RelyingPartyPolicy['authenticators'],
  aaguid: string,
): void {
  step(!deny?.includes(aaguid), 'authenticator-denied', `the policy denies the model ${aaguid}`);
  step(!allow || allow.includes(aaguid), 'authenticator-denied', `the policy does not list the model ${aaguid}`);
  const known = unknown === 'allow' || (allow?.includes(aaguid) ?? false) || authenticatorName(aaguid) !== undefined;
  step(known, 'authenticator-denied', `the model ${aaguid} is unknown`);
}
