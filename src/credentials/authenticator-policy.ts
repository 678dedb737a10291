import type { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { Refusal, step } from '../webauthn/verdict.js';

/*
 * Both are asked at registration and again at every authentication, so that what the policy denies today stops working
 * today.
 */

/** @throws Refusal authenticator-denied, authenticator-compromised */
export function demandAllowedModel(
  { allow, deny, unknown }: RelyingPartyPolicy['authenticators'],
  aaguid: string,
  models: AuthenticatorsService,
  now: Date,
): void {
  step(!deny?.includes(aaguid), 'authenticator-denied', `the policy denies the model ${aaguid}`);
  step(
    !allow || allow.includes(aaguid),
    'authenticator-denied',
    `the policy allows some models, and ${aaguid} is not among them`,
  );
  const known = unknown === 'allow' || (allow?.includes(aaguid) ?? false) || models.isKnown(aaguid);
  step(known, 'authenticator-denied', `the service knows no model ${aaguid}, and the policy denies unknown ones`);
  const standing = models.standing(aaguid, now);
  if (standing.verdict === 'compromised') {
    const detail = `FIDO metadata reports ${standing.status} of the model ${aaguid}`;
    throw new Refusal('authenticator-compromised', detail);
  }
}

/** @throws Refusal backup-state-denied */
export function demandBackup(demanded: RelyingPartyPolicy['backup'], backupEligible: boolean): void {
  step(
    demanded !== 'device-bound' || !backupEligible,
    'backup-state-denied',
    'the passkey can be backed up; the policy demands one that is bound to its device',
  );
  step(
    demanded !== 'synced' || backupEligible,
    'backup-state-denied',
    'the passkey is bound to its device; the policy demands one that can be backed up',
  );
}
