import type { ExpectedRefusal } from '../enrolled-credentials.js';
import type { RelyingPartyEntity } from '../relying-party.entity.js';
import { type PolicyWarning, findWarnings } from '../policy-warnings.js';
import { type RelyingPartyPolicy, completePolicy } from '../relying-party-policy.js';

export class RelyingPartyResponse {
  rpId: string;
  name: string;
  origins: string[];
  enabled: boolean;
  policy: RelyingPartyPolicy;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  warnings: PolicyWarning[];

  /** Fills in the members of the policy that a row lacks because an earlier version wrote it. */
  static of(entity: RelyingPartyEntity): RelyingPartyResponse {
    const { rpId, name, origins, enabled, policy, version, createdAt, updatedAt } = entity;
    const warnings = findWarnings(entity);
    return { rpId, name, origins, enabled, policy: completePolicy(policy), version, createdAt, updatedAt, warnings };
  }
}

/**
 * The result of `PUT …?dryRun=true`: the settings as a PUT would store them, and the passkeys that they would refuse.
 */
export interface DryRunResponse extends RelyingPartyResponse {
  readonly wouldRefuse: ExpectedRefusal[];
}
