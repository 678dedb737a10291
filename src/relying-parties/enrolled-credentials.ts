import type { RelyingPartyEntity } from './relying-party.entity.js';

/** Passkeys of one model that a relying party’s settings would refuse at their next sign-in. */
export interface WouldRefuse {
  readonly aaguid: string;
  /** The model's name; null: it is not known. */
  readonly name: string | null;
  readonly credentials: number;
  /** Why the sign-in would be refused: a reason of `authentication-rejected`, or `relying-party-denied`. */
  readonly reason: string;
}

/** Relying parties ask the credentials through this, because credentials know relying parties and not the other way round. */
export abstract class EnrolledCredentials {
  /** Finds the active passkeys that these settings refuse, by model. */
  abstract refusedBy(settings: Pick<RelyingPartyEntity, 'rpId' | 'enabled' | 'policy'>): Promise<WouldRefuse[]>;
}
