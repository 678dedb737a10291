import type { RelyingPartyEntity } from '../relying-party.entity.js';
import type { RelyingPartyPolicy } from '../relying-party-policy.js';

export class RelyingPartyResponse {
  rpId: string;
  name: string;
  origins: string[];
  enabled: boolean;
  policy: RelyingPartyPolicy;
  version: number;
  createdAt: Date;
  updatedAt: Date;

  static of(entity: RelyingPartyEntity): RelyingPartyResponse {
    const { rpId, name, origins, enabled, policy, version, createdAt, updatedAt } = entity;
    return { rpId, name, origins, enabled, policy, version, createdAt, updatedAt };
  }
}
