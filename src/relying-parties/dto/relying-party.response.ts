import type { WouldRefuse } from '../enrolled-credentials.js';
import type { RelyingPartyEntity } from '../relying-party.entity.js';
import { type PolicyWarning, warningsOf } from '../policy-warnings.js';
import { type RelyingPartyPolicy, wholePolicy } from '../relying-party-policy.js';

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

  /** A row that an earlier version wrote lacks the newer members of the policy. */
  static of(entity: RelyingPartyEntity): RelyingPartyResponse {
    const { rpId, name, origins, enabled, policy, version, createdAt, updatedAt } = entity;
    const warnings = warningsOf(entity);
    return { rpId, name, origins, enabled, policy: wholePolicy(policy), version, createdAt, updatedAt, warnings };
  }
}

/** Shows what a PUT would do. */
export interface DryRunResponse extends RelyingPartyResponse {
  readonly wouldRefuse: WouldRefuse[];
}
