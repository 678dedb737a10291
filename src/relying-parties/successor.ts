/**
 * The relying party that takes over from another when a domain changes. A passkey belongs to one RP ID for good (WebAuthn L3
 * §4), so every user needs a new one. Until then, pages of the new domain use the old passkeys by related origins (§5.11).
 */
export interface Successor {
  readonly rpId: string;
  /** From this time on the relying party refuses every ceremony (RFC 3339, UTC); null: it goes on. */
  readonly endsAt: string | null;
  /** `refuse`: the relying party registers no passkeys any more. */
  readonly registrations: 'accept' | 'refuse';
}

/** A relying party and its successor. */
export interface Succession {
  readonly rpId: string;
  readonly successor: Successor | null;
}

type GivenSuccessor = Pick<Successor, 'rpId'> & { [Member in keyof Successor]?: Successor[Member] | undefined };

/** Gives every absent member its default, and a time its one form. */
export function completeSuccessor(given: GivenSuccessor | null | undefined): Successor | null {
  if (!given) return null;
  const { rpId, endsAt, registrations = 'accept' } = given;
  return { rpId, endsAt: endsAt ? new Date(endsAt).toISOString() : null, registrations };
}

/** True from the moment at which the relying party refuses every ceremony. */
export function hasEnded({ successor }: Pick<Succession, 'successor'>, now: Date): boolean {
  return typeof successor?.endsAt === 'string' && now.getTime() >= Date.parse(successor.endsAt);
}

/**
 * Finds why a relying party cannot have this successor. Chains are refused, and so no relying parties succeed each other in
 * a circle. A relying party may succeed several others.
 *
 * @param others at least the successor, and those that the relying party succeeds
 * @returns undefined: it can
 */
export function findFlaw({ rpId, successor }: Succession, others: readonly Succession[]): string | undefined {
  if (!successor) return undefined;
  if (successor.rpId === rpId) return 'is the relying party itself';
  if (others.some((other) => other.rpId === successor.rpId && other.successor))
    return 'has a successor itself: name that one';
  if (others.some((other) => other.rpId !== rpId && other.successor?.rpId === rpId))
    return 'would begin a chain: the relying party is the successor of another, so name this successor there first';
  return undefined;
}
