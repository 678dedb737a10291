import type { ExpectedRefusal } from '../enrolled-credentials.js';
import type { RelyingPartyEntity } from '../relying-party.entity.js';
import type { PolicyWarning } from '../policy-warnings.js';
import { type RelyingPartyPolicy, completePolicy } from '../relying-party-policy.js';
import type { Successor } from '../successor.js';

export class RelyingPartyResponse {
  rpId: string;
  name: string;
  origins: string[];
  enabled: boolean;
  policy: RelyingPartyPolicy;
  successor: Successor | null;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  warnings: PolicyWarning[];

  /** Fills in the members of the policy that a row lacks because an earlier version wrote it. */
  static of(entity: RelyingPartyEntity, warnings: PolicyWarning[] = []): RelyingPartyResponse {
    const { rpId, name, origins, enabled, policy, successor, version, createdAt, updatedAt } = entity;
    return {
      ...{ rpId, name, origins, enabled, policy: completePolicy(policy), successor },
      ...{ version, createdAt, updatedAt, warnings },
    };
  }
}

/**
 * The result of `PUT …?dryRun=true`: the settings as a PUT would store them, and the passkeys that they would refuse.
 */
export interface DryRunResponse extends RelyingPartyResponse {
  readonly wouldRefuse: ExpectedRefusal[];
}
