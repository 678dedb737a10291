import type { components } from '../../clients/typescript/src/contract.js';
import type { Reason } from '../../src/webauthn/refusal.js';

type Schemas = components['schemas'];
type Policy = Schemas['Policy'];
type PurposePolicy = Schemas['PurposePolicy'];
export type Passkey = Schemas['Credential'];

/** Why a passkey would be refused. */
export interface Obstacle {
  readonly reason: Reason;
  /** What of the passkey and the policy leads to it. */
  readonly because: string;
  /** False if it depends on what the authenticator does at the next sign-in. */
  readonly isCertain: boolean;
  /** The purpose of the ceremonies that are refused; absent for all. */
  readonly purpose?: string;
}

/** By model, what the service itself would refuse: the answer to a dry run of the present settings. */
export type ServiceVerdicts = Schemas['RelyingPartyDryRun']['wouldRefuse'];

/** Lists what stands in the way of a sign-in with a passkey, by the same rules as the service: its state, its model, its kind. */
export function judgePasskey(passkey: Passkey, policy?: Policy, verdicts: ServiceVerdicts = []): Obstacle[] {
  const state = judgeState(passkey);
  if (!policy) return state;
  const own = [...state, ...judgeModel(passkey, policy), ...judgeKind(passkey, policy)];
  const byMetadata = verdicts.filter(
    ({ aaguid, reason, purpose }) =>
      aaguid === passkey.aaguid && purpose === undefined && reason === 'authenticator-compromised',
  );
  const compromised = byMetadata.map((): Obstacle => ({
    reason: 'authenticator-compromised',
    because: 'FIDO metadata reports the model as revoked or compromised.',
    isCertain: true,
  }));
  const alone = [...own, ...compromised];
  const demands = Object.entries(policy.purposes).flatMap(([purpose, demanded]) =>
    judgeDemands(passkey, policy, demanded)
      .filter(({ reason }) => !alone.some((known) => known.reason === reason))
      .map((obstacle) => ({ ...obstacle, purpose })),
  );
  return [...alone, ...demands];
}

function judgeState({ status, statusReason }: Passkey): Obstacle[] {
  const given = statusReason === null ? 'No reason was given.' : `The reason that was given: “${statusReason}”.`;
  if (status === 'suspended')
    return [{ reason: 'credential-suspended', because: `It is suspended. ${given}`, isCertain: true }];
  if (status === 'revoked')
    return [{ reason: 'credential-revoked', because: `It is revoked for good. ${given}`, isCertain: true }];
  return [];
}

function judgeModel({ aaguid, authenticator }: Passkey, { authenticators }: Policy): Obstacle[] {
  const { allow, deny, unknown } = authenticators;
  const refuse = (because: string): Obstacle[] => [{ reason: 'authenticator-denied', because, isCertain: true }];
  if (deny?.includes(aaguid)) return refuse('The policy denies its model (authenticators.deny).');
  if (allow && !allow.includes(aaguid))
    return refuse('The policy has a list of allowed models, and its model is not on it (authenticators.allow).');
  const isKnown = unknown === 'allow' || allow?.includes(aaguid) === true || authenticator !== null;
  return isKnown
    ? []
    : refuse('The service does not know its model, and the policy denies such (authenticators.unknown).');
}

function judgeKind({ backupEligible, userVerified }: Passkey, { backup, userVerification }: Policy): Obstacle[] {
  return [...judgeBackup(backupEligible, backup), ...judgeVerification(userVerified, userVerification)];
}

function judgeBackup(backupEligible: boolean | null, demanded: Policy['backup']): Obstacle[] {
  const reason = 'backup-state-denied';
  if (demanded === 'any') return [];
  if (backupEligible === null) {
    const because = `It was imported, and its next use tells if it is ${demanded}, as demanded.`;
    return [{ reason, because, isCertain: false }];
  }
  if (backupEligible === (demanded === 'synced')) return [];
  const because =
    demanded === 'synced'
      ? 'It is bound to its device, and synced passkeys are demanded (backup).'
      : 'It can be backed up, and device-bound passkeys are demanded (backup).';
  return [{ reason, because, isCertain: true }];
}

function judgeVerification(userVerified: boolean, demanded: Policy['userVerification']): Obstacle[] {
  if (userVerified || demanded !== 'required') return [];
  const because =
    'User verification is demanded, and the authenticator has never checked a PIN or biometrics with this passkey.';
  return [{ reason: 'user-verification-missing', because, isCertain: false }];
}

/** What a purpose demands of a passkey, beside or instead of the policy. */
function judgeDemands(passkey: Passkey, policy: Policy, demanded: PurposePolicy): Obstacle[] {
  const backup = demanded.backup ?? policy.backup;
  const userVerification = demanded.userVerification ?? policy.userVerification;
  const { trust } = passkey.attestation;
  const untrusted: Obstacle[] =
    demanded.attestation === 'trusted' && trust !== 'trusted'
      ? [
          {
            reason: 'attestation-untrusted',
            because: `A trusted attestation is demanded, and that of its registration was ${trust}.`,
            isCertain: true,
          },
        ]
      : [];
  return [...judgeKind(passkey, { ...policy, backup, userVerification }), ...untrusted];
}
