import type { RequestContext } from '../http/request-context.js';
import type { AdmittedKind } from './purposes.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

/** The active passkeys of one model that new settings would refuse at the next sign-in. */
export interface ExpectedRefusal {
  readonly aaguid: string;
  /** Name of the model; null: unknown. */
  readonly name: string | null;
  readonly credentials: number;
  /** The reason for the refusal: a reason of `authentication-rejected`, or `relying-party-denied`. */
  readonly reason: string;
  /** The purpose for which alone it would be refused; undefined: at every authentication that follows the policy. */
  readonly purpose?: string;
}

/** An active passkey of a user. */
export interface EnrolledPasskey extends AdmittedKind {
  readonly credentialId: Buffer;
  /** null: no sign-in with it counts. */
  readonly lastSignInAt: Date | null;
}

/**
 * The interface through which relying parties and challenges look at credentials. The credentials module implements it, because it
 * imports their modules and not the other way round.
 */
export abstract class EnrolledCredentials {
  /** Finds the active passkeys that these settings refuse, grouped by model. */
  abstract findRefused(settings: Pick<RelyingPartyEntity, 'rpId' | 'enabled' | 'policy'>): Promise<ExpectedRefusal[]>;

  /** Lists the active passkeys of a user, without those whose rows something other than this service changed. */
  abstract listPasskeys(context: RequestContext, rpId: string, userId: string): Promise<EnrolledPasskey[]>;
}
