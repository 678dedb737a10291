import type { RelyingPartyPolicy } from './relying-party-policy.js';

/** Passkeys of one model that a policy would refuse at their next sign-in. */
export interface WouldRefuse {
  readonly aaguid: string;
  /** The model's name; null: it is not known. */
  readonly name: string | null;
  readonly credentials: number;
  /** Why the sign-in would be refused: a reason of `authentication-rejected`. */
  readonly reason: string;
}

/** Relying parties ask the credentials through this, because credentials know relying parties and not the other way round. */
export abstract class EnrolledCredentials {
  /** Finds the active passkeys that this policy refuses, by model. */
  abstract refusedBy(rpId: string, policy: RelyingPartyPolicy): Promise<WouldRefuse[]>;
}
