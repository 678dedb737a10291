import type { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import type { Admission } from '../relying-parties/purposes.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import type { CredentialEntity } from './credential.entity.js';
import { Refusal, refuseUnless } from '../webauthn/refusal.js';

/*
 * The first two checks run at registration and again at every authentication, so a model that the policy denies today can no
 * longer sign in today.
 */

/** @throws Refusal authenticator-denied, authenticator-compromised */
export function demandAllowedModel(
  { allow, deny, unknown }: RelyingPartyPolicy['authenticators'],
  aaguid: string,
  models: AuthenticatorsService,
  now: Date,
): void {
  refuseUnless(!deny?.includes(aaguid), 'authenticator-denied', `the policy denies the model ${aaguid}`);
  refuseUnless(
    !allow || allow.includes(aaguid),
    'authenticator-denied',
    `the policy has a list of allowed models, and ${aaguid} is not on it`,
  );
  const known = unknown === 'allow' || (allow?.includes(aaguid) ?? false) || models.isKnown(aaguid);
  refuseUnless(
    known,
    'authenticator-denied',
    `the service does not know the model ${aaguid}, and the policy denies unknown models`,
  );
  const standing = models.findStanding(aaguid, now);
  if (standing.verdict === 'compromised') {
    const detail = `FIDO metadata reports ${standing.status} of the model ${aaguid}`;
    throw new Refusal('authenticator-compromised', detail);
  }
}

/** @throws Refusal backup-state-denied */
export function demandBackup(demanded: RelyingPartyPolicy['backup'], backupEligible: boolean): void {
  refuseUnless(
    demanded !== 'device-bound' || !backupEligible,
    'backup-state-denied',
    'the passkey can be backed up; the policy demands one that is bound to its device',
  );
  refuseUnless(
    demanded !== 'synced' || backupEligible,
    'backup-state-denied',
    'the passkey is bound to its device; the policy demands one that can be backed up',
  );
}

/** @throws Refusal attestation-untrusted */
export function demandAttestation(
  { attestation }: Admission,
  { attestationTrust }: Pick<CredentialEntity, 'attestationTrust'>,
): void {
  refuseUnless(
    attestation === 'any' || attestationTrust === 'trusted',
    'attestation-untrusted',
    `the purpose demands a passkey whose attestation was trusted at its registration; it was ${attestationTrust}`,
  );
}
