import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { findUserIds } from '../audit/pseudonyms.js';
import { UserSeals } from '../audit/user-seals.js';
import type { Queryable } from '../database/named-statement.js';
import { ApprovalSeal } from './approval-seal.js';
import type { ApprovalEntity, ErasureAction } from './approval.entity.js';

/** Finds the users whom requests would erase. A request holds the pseudonym of its user only. */
@Injectable()
export class ApprovalSubjects {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly seal: ApprovalSeal,
    private readonly users: UserSeals,
  ) {}

  /** Makes the action of a request to erase a user. */
  describeErasure(user: { rpId: string; userId: string; auditUid: string }): ErasureAction {
    return { user: user.auditUid, binding: this.seal.bindUser(user) };
  }

  /** @returns null if the request is not about a user, or if the user is erased */
  async findUserId(through: Queryable, approval: ApprovalEntity): Promise<string | null> {
    return (await this.findUserIds([approval], through)).get(approval.id) ?? null;
  }

  /** Finds the users by the ids of the requests. Users who are erased are missing from the result. */
  async findUserIds(
    approvals: readonly ApprovalEntity[],
    through: Queryable = this.dataSource,
  ): Promise<Map<string, string>> {
    const erasures = approvals.filter(({ permission }) => permission === 'passkeys:erase');
    const actions = erasures.map(({ action }) => JSON.parse(action) as ErasureAction);
    const users = await findUserIds(
      through,
      actions.map(({ user }) => user),
      this.users,
    );
    return new Map(
      erasures.flatMap(({ id }, index) => {
        const userId = users.get(actions[index]!.user);
        return userId === undefined ? [] : [[id, userId] as const];
      }),
    );
  }
}
