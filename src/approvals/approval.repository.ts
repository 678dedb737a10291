import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Brackets, type EntityManager, In, type Repository } from 'typeorm';
import { ApprovalEntity, type ApprovalStatus } from './approval.entity.js';

export interface ApprovalFilter {
  /** null: all relying parties. */
  readonly relyingParties: readonly string[] | null;
  /** The status at `now`: a pending request that is overdue counts as expired. */
  readonly status: ApprovalStatus | undefined;
  readonly now: Date;
  /** The id of the last request of the previous page. */
  readonly after: string | undefined;
  readonly limit: number;
}

const BATCH = 100;

@Injectable()
export class ApprovalRepository {
  constructor(@InjectRepository(ApprovalEntity) private readonly approvals: Repository<ApprovalEntity>) {}

  transaction<Result>(run: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    return this.approvals.manager.transaction(run);
  }

  find(id: string, relyingParties: readonly string[] | null): Promise<ApprovalEntity | null> {
    return this.approvals.findOneBy({ id, ...(relyingParties && { rpId: In([...relyingParties]) }) });
  }

  /** Locks a request until the transaction ends, so that it is decided once. */
  lock(manager: EntityManager, id: string): Promise<ApprovalEntity | null> {
    return manager.findOne(ApprovalEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
  }

  /** Lists requests, the oldest first. */
  list({ relyingParties, status, now, after, limit }: ApprovalFilter): Promise<ApprovalEntity[]> {
    const query = this.approvals.createQueryBuilder('a').orderBy('a.id').limit(limit);
    if (after !== undefined) query.andWhere('a.id > :after', { after });
    if (relyingParties) query.andWhere('a.rp_id = ANY (:relyingParties)', { relyingParties });
    if (status === 'expired') {
      query.andWhere(
        new Brackets((either) => {
          either.where("a.status = 'expired'").orWhere("a.status = 'pending' AND a.expires_at <= :now", { now });
        }),
      );
    } else if (status !== undefined) {
      query.andWhere('a.status = :status', { status });
      if (status === 'pending') query.andWhere('a.expires_at > :now', { now });
    }
    return query.getMany();
  }

  /** Finds the pending requests of the same caller for the same relying party, at most `limit`. */
  findPending(manager: EntityManager, wanted: Omit<ApprovalEntity, 'mac'>, limit: number): Promise<ApprovalEntity[]> {
    const { permission, rpId, requestedBy, requestedAt } = wanted;
    return manager
      .createQueryBuilder(ApprovalEntity, 'a')
      .where("a.status = 'pending' AND a.expires_at > :requestedAt AND a.rp_id = :rpId AND a.permission = :permission")
      .andWhere('a.requested_by = :requestedBy')
      .setParameters({ permission, rpId, requestedBy, requestedAt })
      .limit(limit)
      .getMany();
  }

  /** Locks pending requests that are overdue, except those that another transaction has locked. */
  lockOverdue(manager: EntityManager, now: Date): Promise<ApprovalEntity[]> {
    return manager
      .createQueryBuilder(ApprovalEntity, 'a')
      .where("a.status = 'pending' AND a.expires_at <= :now", { now })
      .orderBy('a.id')
      .limit(BATCH)
      .setLock('pessimistic_write')
      .setOnLocked('skip_locked')
      .getMany();
  }

  /** Deletes requests that ended before a time. The audit log keeps what became of them. */
  async deleteEnded(before: Date): Promise<void> {
    await this.approvals
      .createQueryBuilder()
      .delete()
      .where("status <> 'pending' AND expires_at < :before", { before })
      .execute();
  }
}
