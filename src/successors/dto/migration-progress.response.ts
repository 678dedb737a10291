import type { RelyingPartyEntity } from '../../relying-parties/relying-party.entity.js';
import type { CountedUsers } from '../succession.repository.js';
import { addUp, type MovedUsers, type UsersByLastUse } from '../user-count.js';

interface UserGroup {
  readonly users: number;
  readonly byLastUse: UsersByLastUse;
}

export class MigrationProgressResponse {
  rpId: string;
  successor: string;
  endsAt: string | null;
  hasEnded: boolean;
  /** null: the first count is under way. */
  countedAt: Date | null;
  /** null: the first count is under way. */
  users: Record<keyof MovedUsers, UserGroup> | null;

  static of(
    { rpId, successor }: RelyingPartyEntity,
    hasEnded: boolean,
    counted: CountedUsers | undefined,
  ): MigrationProgressResponse {
    const group = (byLastUse: UsersByLastUse): UserGroup => ({ users: addUp(byLastUse), byLastUse });
    const { onlyHere, both, onlyAtSuccessor } = counted?.users ?? {};
    const isCounted = onlyHere && both && onlyAtSuccessor;
    return {
      ...{ rpId, successor: successor!.rpId, endsAt: successor!.endsAt, hasEnded },
      countedAt: counted?.countedAt ?? null,
      users: isCounted
        ? { onlyHere: group(onlyHere), both: group(both), onlyAtSuccessor: group(onlyAtSuccessor) }
        : null,
    };
  }
}
