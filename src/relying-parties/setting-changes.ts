import { isDeepStrictEqual } from 'node:util';
import type { SettingChange } from '../approvals/approval.entity.js';
import { type AppliedPolicy, applyPurpose, findPurpose, pointToPurpose } from './purposes.js';
import type { PurposePolicy, RelyingPartyPolicy } from './relying-party-policy.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

/** Settings in which every member has its value. */
export type CompleteSettings = Pick<RelyingPartyEntity, 'name' | 'origins' | 'enabled' | 'policy' | 'successor'>;

/** @param members all members before the change */
type Weakens = (before: unknown, after: unknown, members: Members) => boolean;

type Compare = (before: unknown, after: unknown) => boolean;

/** True if the value goes down this list, whose first entry is the strictest. */
const goesDown =
  (...strictest: readonly string[]): Compare =>
  (before, after) =>
    strictest.indexOf(after as string) > strictest.indexOf(before as string);

/** True if a list has an entry that it had not. */
const adds: Compare = (before, after) => listOf(after).some((entry) => !listOf(before).includes(entry));
const removes: Compare = (before, after) => adds(after, before);
const rises: Compare = (before, after) => Number(after) > Number(before);
const isSwitchedTo =
  (weak: boolean): Compare =>
  (before, after) =>
    before !== weak && after === weak;

/** An absent list allows every model that `unknown` allows. A list allows its models, also unknown ones. */
const allowsMore: Weakens = (before, after, members) => {
  if (after === undefined) return true;
  const everyModel = before === undefined && members.get('/policy/authenticators/unknown') === 'allow';
  return !everyModel && adds(before, after);
};

/** An empty list allows every top origin. */
const framesMore: Compare = (before, after) =>
  listOf(before).length > 0 && (listOf(after).length === 0 || adds(before, after));

/** `any` accepts the passkeys of both other rules, and a synced passkey leaves its device. */
const acceptsMore: Compare = (before, after) => before !== 'any' && after !== 'device-bound' && after !== before;

/** Whoever names a successor sends users there, and whoever sets the end shuts them out or keeps old passkeys alive. */
const always: Compare = () => true;

const verifiesLess = goesDown('required', 'preferred', 'discouraged');
const trustsMore = goesDown('trusted', 'any');

/** The members of the settings whose change can weaken the verification of a ceremony, by their pointers. */
const WEAKENS: Readonly<Record<string, Weakens>> = {
  '/origins': adds,
  '/enabled': isSwitchedTo(true),
  '/successor/rpId': always,
  '/successor/endsAt': always,
  '/successor/registrations': (before, after) => before === 'refuse' && after !== 'refuse',
  '/policy/userVerification': verifiesLess,
  '/policy/attestation/conveyance': goesDown('enterprise', 'direct', 'indirect', 'none'),
  '/policy/attestation/trust': trustsMore,
  '/policy/attestation/formats': adds,
  '/policy/authenticators/allow': allowsMore,
  '/policy/authenticators/deny': removes,
  '/policy/authenticators/unknown': goesDown('deny', 'allow'),
  '/policy/algorithms': adds,
  '/policy/backup': acceptsMore,
  '/policy/challengeTtlSeconds': rises,
  '/policy/signCountRegression': goesDown('reject', 'flag'),
  '/policy/backupEligibilityChange': goesDown('reject', 'accept-growth'),
  '/policy/allowSha1Tpm': isSwitchedTo(true),
  '/policy/browserKeys/unknown': goesDown('refuse', 'step-up', 'accept'),
  '/policy/crossOrigin/allow': isSwitchedTo(true),
  '/policy/crossOrigin/topOrigins': framesMore,
  '/policy/identityProof/required': isSwitchedTo(false),
  '/policy/identityProof/maxAgeSeconds': rises,
  '/policy/userLimits/challengesPerMinute': rises,
  '/policy/userLimits/refusalsPerHalfHour': rises,
};

/** For each member of a purpose: true if the policy as it holds for the purpose becomes weaker by it. */
const PURPOSE_WEAKENS: Readonly<Record<keyof PurposePolicy, (before: AppliedPolicy, after: AppliedPolicy) => boolean>> =
  {
    userVerification: (before, after) => verifiesLess(before.userVerification, after.userVerification),
    challengeTtlSeconds: (before, after) => rises(before.challengeTtlSeconds, after.challengeTtlSeconds),
    backup: (before, after) => acceptsMore(before.backup, after.backup),
    attestation: (before, after) =>
      trustsMore(before.attestation.trust, after.attestation.trust) ||
      trustsMore(before.admission.attestation, after.admission.attestation),
    maxAgeSeconds: (before, after) => rises(before.maxAgeSeconds, after.maxAgeSeconds),
  };

/** The members of a purpose. */
export const PURPOSE_MEMBERS = Object.keys(PURPOSE_WEAKENS) as (keyof PurposePolicy)[];

/** Lists the members by which one policy of a purpose demands less than another. */
export function listWeaker(before: AppliedPolicy, after: AppliedPolicy): (keyof PurposePolicy)[] {
  return PURPOSE_MEMBERS.filter((member) => PURPOSE_WEAKENS[member](before, after));
}

/** The members that cannot weaken the verification. A spec demands that each member is in one of the two lists. */
export const HARMLESS = ['/name', '/policy/residentKey', '/policy/maxCredentialsPerUser'];

/** The pointers of the members that can weaken the verification. */
export const WEAKENING = Object.keys(WEAKENS);

/** Lists the members that a change of settings changes, and says which of the changes weaken the verification. */
export function listChanges(stored: CompleteSettings, wanted: CompleteSettings): SettingChange[] {
  const [before, after] = [stored, wanted].map(listMembers) as [Members, Members];
  return [...listChangedPurposes(stored.policy, wanted.policy), ...listChangedMembers(before, after)];
}

function listChangedMembers(before: Members, after: Members): SettingChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((pointer) => {
    const [was, is] = [before.get(pointer), after.get(pointer)];
    if (isDeepStrictEqual(was, is)) return [];
    const weakens = WEAKENS[pointer]?.(was, is, before) ?? false;
    return [{ pointer, before: was ?? null, after: is ?? null, weakens }];
  });
}

/** A purpose that is taken away leaves the policy alone, so what it demanded counts, and not that it is absent. */
function listChangedPurposes(stored: RelyingPartyPolicy, wanted: RelyingPartyPolicy): SettingChange[] {
  return [...new Set([stored, wanted].flatMap(({ purposes }) => Object.keys(purposes)))].flatMap((name) => {
    const [was, is] = [stored, wanted].map((policy) => findPurpose(policy, name)) as [PurposePolicy, PurposePolicy];
    const weaker = listWeaker(applyPurpose(stored, name), applyPurpose(wanted, name));
    return PURPOSE_MEMBERS.filter((member) => was[member] !== is[member]).map((member) => ({
      pointer: pointToPurpose(name, member),
      before: was[member] ?? null,
      after: is[member] ?? null,
      weakens: weaker.includes(member),
    }));
  });
}

type Members = Map<string, unknown>;

/** Lists the members of settings by their pointers, without those of purposes; a list is one member. */
function listMembers({ name, origins, enabled, policy, successor }: CompleteSettings): Members {
  const members: Members = new Map<string, unknown>([
    ['/name', name],
    ['/origins', origins],
    ['/enabled', enabled],
  ]);
  for (const [member, value] of Object.entries(successor ?? {}))
    if (value !== null) members.set(`/successor/${member}`, value);
  const { purposes: _, ...rules } = policy;
  for (const [member, value] of Object.entries(rules) as [keyof RelyingPartyPolicy, unknown][]) {
    const isNested = typeof value === 'object' && value !== null && !Array.isArray(value);
    const inner = isNested
      ? Object.entries(value).map(([key, each]) => [`/${key}`, each] as const)
      : [['', value] as const];
    for (const [rest, each] of inner) members.set(`/policy/${member}${rest}`, each);
  }
  return members;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
