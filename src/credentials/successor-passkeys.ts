import { Injectable, Logger } from '@nestjs/common';
import type { AuthorizedContext } from '../http/request-context.js';
import { EnrolledCredentials } from '../relying-parties/enrolled-credentials.js';
import { RelyingPartyCopies } from '../relying-parties/relying-party-copies.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';

/** What a caller needs to move a user to the successor of the relying party. */
export interface Migration {
  /** RP ID. */
  successor: string;
  /** From this time on the relying party refuses every ceremony; null: none is named. */
  endsAt: string | null;
  /**
   * True if the user, by the same user id, has an active passkey at the successor. null: it is not told, because the caller
   * may not act for the successor, or because nobody can register there now.
   */
  hasPasskey: boolean | null;
}

/** Tells callers which users have no passkey at the successor of their relying party yet. */
@Injectable()
export class SuccessorPasskeys {
  private readonly logger = new Logger(SuccessorPasskeys.name);

  constructor(
    private readonly copies: RelyingPartyCopies,
    private readonly enrolled: EnrolledCredentials,
  ) {}

  /**
   * Only for a user whose answer is verified. Costs a relying party without a successor nothing. Never throws: what it cannot
   * find out it does not tell.
   */
  async find(
    context: AuthorizedContext,
    { successor }: Pick<RelyingPartyEntity, 'successor'>,
    userId: string,
  ): Promise<Migration | undefined> {
    if (!successor) return undefined;
    const { rpId, endsAt } = successor;
    return { successor: rpId, endsAt, hasPasskey: await this.hasPasskey(context, rpId, userId) };
  }

  private async hasPasskey(context: AuthorizedContext, rpId: string, userId: string): Promise<boolean | null> {
    if (context.relyingParties !== null && !context.relyingParties.includes(rpId)) return null;
    try {
      await this.copies.getEnabled(rpId);
      return (await this.enrolled.listPasskeys(context, rpId, userId)).length > 0;
    } catch (error) {
      this.logger.debug({ message: 'the passkeys of a user at the successor are not known', rpId, error });
      return null;
    }
  }
}
