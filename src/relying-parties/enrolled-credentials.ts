import type { RelyingPartyEntity } from './relying-party.entity.js';

/** The active passkeys of one model that new settings would refuse at the next sign-in. */
export interface ExpectedRefusal {
  readonly aaguid: string;
  /** Name of the model; null: unknown. */
  readonly name: string | null;
  readonly credentials: number;
  /** The reason for the refusal: a reason of `authentication-rejected`, or `relying-party-denied`. */
  readonly reason: string;
}

/**
 * The interface through which relying parties look at credentials. The credentials module implements it, because it
 * imports the relying parties module and not the other way round.
 */
export abstract class EnrolledCredentials {
  /** Finds the active passkeys that these settings refuse, grouped by model. */
  abstract findRefused(settings: Pick<RelyingPartyEntity, 'rpId' | 'enabled' | 'policy'>): Promise<ExpectedRefusal[]>;
}
