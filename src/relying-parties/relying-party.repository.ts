import type { EntityManager } from 'typeorm';
import { DEFAULT_POLICY, type RelyingPartyPolicy } from './relying-party-policy.js';

/**
 * Locks a relying party until the transaction ends, even one that does not exist yet. So two changes of its settings
 * follow each other.
 */
export async function lockRelyingParty(manager: EntityManager, rpId: string): Promise<void> {
  await manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`relying-party ${rpId}`]);
}

/** SQL: a limit of the relying party. A policy that was stored before there were limits has the default. */
export function userLimitSql(name: keyof RelyingPartyPolicy['userLimits']): string {
  return `coalesce((policy #>> '{userLimits,${name}}')::integer, ${String(DEFAULT_POLICY.userLimits[name])})`;
}
