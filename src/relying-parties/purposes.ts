import { appendPointer } from '../http/problem.js';
import type { PurposePolicy, RelyingPartyPolicy } from './relying-party-policy.js';

/** The passkeys that may be used for a purpose. */
export type Admission = Required<Pick<PurposePolicy, 'backup' | 'attestation'>>;

/** A policy as it holds for one purpose. */
export interface AppliedPolicy extends RelyingPartyPolicy {
  /** What the purpose demands of a passkey that is used. The policy alone selects none. */
  readonly admission: Admission;
  /** The age that the user's last sign-in may have. */
  readonly maxAgeSeconds: number;
  /** True if a purpose of the policy asks when a user has signed in last. Only then that time is stored. */
  readonly keepsSignIns: boolean;
  /** The policy without the demands of the purpose. */
  readonly alone: RelyingPartyPolicy;
}

/** A passkey, as far as an admission looks at it. */
export interface AdmittedKind {
  /** null: not known until the next authentication, which is judged by what it tells. */
  readonly backupEligible: boolean | null;
  /** True if its attestation was trusted at its registration. */
  readonly trusted: boolean;
}

/**
 * Applies the demands of a purpose to a policy. Each of them replaces the policy's. `attestation` holds for a passkey that is
 * registered, as `attestation.trust` does, and also for one that is used.
 *
 * @param purpose undefined, or one that the policy does not list: the policy holds as it is
 */
export function applyPurpose(policy: RelyingPartyPolicy, purpose: string | undefined): AppliedPolicy {
  const demanded = findPurpose(policy, purpose);
  const known = demanded === NOTHING ? ALONE.get(policy) : undefined;
  if (known) return known;
  const applied = apply(policy, demanded);
  if (demanded === NOTHING) ALONE.set(policy, applied);
  return applied;
}

const NOTHING: PurposePolicy = {};
/** Policies as they hold for the purposes that they do not list. Most ceremonies are for one of these. */
const ALONE = new WeakMap<RelyingPartyPolicy, AppliedPolicy>();

function apply(policy: RelyingPartyPolicy, demanded: PurposePolicy): AppliedPolicy {
  const { backup = 'any', attestation = 'any' } = demanded;
  return {
    ...policy,
    userVerification: demanded.userVerification ?? policy.userVerification,
    challengeTtlSeconds: demanded.challengeTtlSeconds ?? policy.challengeTtlSeconds,
    backup: demanded.backup ?? policy.backup,
    attestation: { ...policy.attestation, trust: demanded.attestation ?? policy.attestation.trust },
    admission: { backup, attestation },
    maxAgeSeconds: demanded.maxAgeSeconds ?? Infinity,
    keepsSignIns: Object.values(policy.purposes).some(({ maxAgeSeconds }) => maxAgeSeconds !== undefined),
    alone: policy,
  };
}

/** A purpose may be named like a member that every object inherits. @returns {} for one that the policy does not list */
export function findPurpose({ purposes }: RelyingPartyPolicy, purpose: string | undefined): PurposePolicy {
  return (purpose !== undefined && Object.hasOwn(purposes, purpose) && purposes[purpose]) || NOTHING;
}

/** Returns the JSON pointer of a purpose in the settings of a relying party, or of a member of it. */
export function pointToPurpose(name: string, member?: keyof PurposePolicy): string {
  const pointer = appendPointer('/policy/purposes', name);
  return member ? appendPointer(pointer, member) : pointer;
}

/** True if an admission lets every passkey in. */
export function admitsAll({ backup, attestation }: Admission): boolean {
  return backup === 'any' && attestation === 'any';
}

export function isAdmitted({ backup, attestation }: Admission, { backupEligible, trusted }: AdmittedKind): boolean {
  const fits = backup === 'any' || backupEligible === null || backupEligible === (backup === 'synced');
  return fits && (attestation === 'any' || trusted);
}
