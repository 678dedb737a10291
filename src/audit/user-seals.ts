import { Injectable } from '@nestjs/common';
import type { RequestContext } from '../http/request-context.js';
import { Seals } from '../seals/seals.js';
import { Refusals } from './refusals.js';
import { describeUser, isUserGenuine, type SealedUser } from './sealed-user.js';

/**
 * Seals users, so that nobody who can write to the table makes an authenticator's handle or a pseudonym of the log stand
 * for another user. A user whose row fails counts as a stranger.
 */
@Injectable()
export class UserSeals {
  constructor(
    private readonly seals: Seals,
    private readonly refusals: Refusals,
  ) {}

  seal(user: Omit<SealedUser, 'seal'>): Buffer {
    return this.seals.seal(describeUser(user));
  }

  isGenuine(user: SealedUser): boolean {
    return isUserGenuine(this.seals, user);
  }

  /** True if the row should be sealed again, or for the first time. */
  isOld({ seal }: Pick<SealedUser, 'seal'>): boolean {
    return this.seals.isOld(seal);
  }

  /** Returns the user if the row is as the service wrote it. If it is not, the audit log records that first. */
  async keepGenuine<User extends SealedUser>(
    context: RequestContext | null,
    user: User | null,
  ): Promise<User | undefined> {
    return user && (await this.verifyRow(context, user)) ? user : undefined;
  }

  /** True if the row is as the service wrote it. If it is not, the audit log records that before this returns. */
  async verifyRow(context: RequestContext | null, user: SealedUser): Promise<boolean> {
    if (this.isGenuine(user)) return true;
    const { rpId, userId } = user;
    await this.refusals.refuseRow(context, { type: 'user.tampered', rpId, userId });
    return false;
  }
}
