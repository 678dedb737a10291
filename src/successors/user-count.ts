import type { UserPage } from './moved-users.repository.js';

/** When users have last used one of their active passkeys, by the days since. Each user is in one of them. */
export const LAST_USES = ['within7Days', 'within30Days', 'within90Days', 'earlier', 'never'] as const;
export type LastUse = (typeof LAST_USES)[number];

export type UsersByLastUse = Record<LastUse, number>;

/** The users who have an active passkey at the relying party or at its successor. */
export interface MovedUsers {
  /** By their last use at the relying party. */
  readonly onlyHere: UsersByLastUse;
  /** By their last use at the relying party. */
  readonly both: UsersByLastUse;
  /** By their last use at the successor. */
  readonly onlyAtSuccessor: UsersByLastUse;
}

/** Where a count is: it goes through the users of the relying party, then through those of the successor. */
export type Phase = 'here' | 'successor';

const startCount = (): UsersByLastUse => Object.fromEntries(LAST_USES.map((use) => [use, 0])) as UsersByLastUse;

/** A count that is under way. It is kept in the memory of the process that counts, because its place is the id of a user. */
export class UserCount {
  readonly moved: MovedUsers = { onlyHere: startCount(), both: startCount(), onlyAtSuccessor: startCount() };
  phase: Phase = 'here';
  /** The last user id so far; null: the phase begins. */
  after: string | null = null;
  isDone = false;

  constructor(
    readonly rpId: string,
    readonly successor: string,
  ) {}

  /** Adds a page. An empty one ends the phase. */
  add({ last, users }: UserPage): void {
    for (const { lastUse, hasOther } of users) {
      if (this.phase === 'here') this.moved[hasOther ? 'both' : 'onlyHere'][lastUse] += 1;
      else if (!hasOther) this.moved.onlyAtSuccessor[lastUse] += 1;
    }
    this.after = last;
    if (last !== null) return;
    if (this.phase === 'successor') this.isDone = true;
    this.phase = 'successor';
  }
}

/** SQL may have stored anything. @returns undefined if this is no count */
export function readMovedUsers(stored: unknown): MovedUsers | undefined {
  const groups = ['onlyHere', 'both', 'onlyAtSuccessor'] as const;
  const counts = (stored ?? {}) as Partial<Record<string, Partial<Record<string, unknown>>>>;
  const isWhole = groups.every((group) =>
    LAST_USES.every((use) => Number.isSafeInteger(counts[group]?.[use]) && Number(counts[group]?.[use]) >= 0),
  );
  if (!isWhole) return undefined;
  const pick = (group: (typeof groups)[number]): UsersByLastUse =>
    Object.fromEntries(LAST_USES.map((use) => [use, counts[group]![use]])) as UsersByLastUse;
  return { onlyHere: pick('onlyHere'), both: pick('both'), onlyAtSuccessor: pick('onlyAtSuccessor') };
}

export function addUp(users: UsersByLastUse): number {
  return LAST_USES.reduce((sum, use) => sum + users[use], 0);
}
