import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { LAST_USED_FIRST } from './challenge.repository.js';
import type { ListShape } from './decoy.js';
import { UserHandleEntity } from './user-handle.entity.js';

/**
 * SQL: the 64 most frequent shapes of a relying party's lists, with the number of users who have each. A relying party
 * with up to 1,000 users is counted whole. For a larger one, the statement counts at most 1,000 of its users, from the
 * deployment's 10,000 users with the lowest `audit_uid`. That id is random, so the sample is fair; it is the same in
 * all replicas, and no user can choose to be in it.
 */
const COUNT_LIST_SHAPES = `
  WITH first AS MATERIALIZED (SELECT user_id FROM user_handle WHERE rp_id = $1 LIMIT 1001),
       sampled AS (
         SELECT user_id FROM (SELECT rp_id, user_id FROM user_handle ORDER BY audit_uid LIMIT 10000) AS lowest
          WHERE rp_id = $1 AND (SELECT count(*) FROM first) > 1000 LIMIT 1000),
       users AS (SELECT user_id FROM first WHERE (SELECT count(*) FROM first) <= 1000 UNION ALL SELECT user_id FROM sampled),
       lists AS (
         SELECT jsonb_agg(jsonb_build_object('bytes', octet_length(credential_id), 'transports', ARRAY(SELECT unnest(transports) COLLATE "C" AS transport ORDER BY transport),
                                            'backupEligible', backup_eligible, 'trusted', attestation_trust = 'trusted')
                          ORDER BY ${LAST_USED_FIRST}) AS list
           FROM users JOIN credential USING (user_id)
          WHERE rp_id = $1 AND status = 'active' GROUP BY user_id)
  SELECT list, count(*)::integer AS users FROM lists GROUP BY list ORDER BY users DESC, list LIMIT 64`;

/** Locks users, and counts the shapes of their lists of passkeys. */
@Injectable()
export class UserHandleRepository {
  constructor(@InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>) {}

  /**
   * Locks the user until the transaction ends. That serializes the registrations of one user, and these with the user's
   * erasure.
   *
   * @returns null: the user never began a registration, or was erased
   */
  lock(manager: EntityManager, rpId: string, userId: string): Promise<UserHandleEntity | null> {
    return manager.findOne(UserHandleEntity, { where: { rpId, userId }, lock: { mode: 'pessimistic_write' } });
  }

  /** Ends the registrations of a locked user that have begun: their challenges name the number of revocations before. */
  async endRegistrations(manager: EntityManager, { rpId, userId, revocations }: UserHandleEntity): Promise<void> {
    await manager.update(UserHandleEntity, { rpId, userId }, { revocations: (revocations ?? 0) + 1 });
  }

  /** Counts the users of a relying party by the shape of their lists, the most frequent first. */
  countListShapes(rpId: string): Promise<Pick<ListShape, 'list' | 'users'>[]> {
    return this.dataSource.query(COUNT_LIST_SHAPES, [rpId]);
  }
}
