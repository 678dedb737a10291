import { type EntityManager, type FindOptionsWhere, Raw } from 'typeorm';
import { DEFAULT_POLICY, type RelyingPartyPolicy } from './relying-party-policy.js';
import type { StoredRelyingParty } from './relying-party-seals.js';
import { RelyingPartyEntity } from './relying-party.entity.js';

/** Finds relying parties in the order of their RP IDs, at most 1,000. */
export async function findRelyingParties(
  manager: EntityManager,
  where: FindOptionsWhere<RelyingPartyEntity>,
): Promise<StoredRelyingParty[]> {
  const { entities, raw } = await manager
    .createQueryBuilder(RelyingPartyEntity, 'p')
    .where(where)
    .orderBy('p.rpId')
    .limit(1_000)
    .getRawAndEntities<{ p_policy: unknown }>();
  return entities.map((party, index) => ({ party, policy: raw[index]!.p_policy }));
}

/** Finds those whose successor is this relying party. */
export async function findPredecessors(manager: EntityManager, rpId: string): Promise<StoredRelyingParty[]> {
  return findRelyingParties(manager, { successor: Raw((column) => `${column} ->> 'rpId' = :rpId`, { rpId }) });
}

/**
 * Locks relying parties until the transaction ends, even such that do not exist yet, in one order. So two changes of the
 * settings of one follow each other.
 */
export async function lockRelyingParties(manager: EntityManager, rpIds: readonly string[]): Promise<void> {
  for (const rpId of [...new Set(rpIds)].sort())
    await manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`relying-party ${rpId}`]);
}

/** Stores every column, also those that look as before: SQL may have changed the row. */
export async function storeRelyingParty(manager: EntityManager, party: RelyingPartyEntity): Promise<void> {
  await manager
    .createQueryBuilder()
    .insert()
    .into(RelyingPartyEntity)
    .values(party)
    .orUpdate(
      ['name', 'origins', 'enabled', 'policy', 'successor', 'version', 'created_at', 'updated_at', 'seal'],
      ['rp_id'],
    )
    .execute();
}

/**
 * SQL: a limit of the relying party. A policy that was stored before there were limits has the default, and so has one whose
 * limit SQL made no integer: that a row was changed is found after the statement, which must not fail for all its rows.
 */
export function userLimitSql(name: keyof RelyingPartyPolicy['userLimits']): string {
  const limit = `policy #>> '{userLimits,${name}}'`;
  return `CASE WHEN ${limit} ~ '^[0-9]{1,9}$' THEN (${limit})::integer ELSE ${String(DEFAULT_POLICY.userLimits[name])} END`;
}
