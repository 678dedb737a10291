import type { RelyingPartyPolicy } from './relying-party-policy.js';

/** Passkeys of one model that a policy would refuse at their next sign-in. */
export interface WouldRefuse {
  readonly aaguid: string;
  /** Of the model; null: it is not known. */
  readonly name: string | null;
  readonly credentials: number;
  /** As the sign-in would be refused: a reason of `authentication-rejected`. */
  readonly reason: string;
}

/** What relying parties ask of the credentials, which know relying parties and not the other way round. */
export abstract class EnrolledCredentials {
  /** Of the active passkeys, those that this policy refuses, by model. */
  abstract refusedBy(rpId: string, policy: RelyingPartyPolicy): Promise<WouldRefuse[]>;
}
