import type { components } from '../../clients/typescript/src/contract.js';

type Schemas = components['schemas'];
type Policy = Schemas['Policy'];
type PurposePolicy = Schemas['PurposePolicy'];
/** Settings in which every member has its value. */
export type CompleteSettings = Pick<Schemas['RelyingParty'], 'name' | 'origins' | 'enabled' | 'policy' | 'successor'>;

/** What an operator is about to change, member by member, as the approval of a change shows it. */
export interface Difference {
  /** JSON pointer into the settings. */
  readonly pointer: string;
  /** `null`: the member was absent. */
  readonly before: unknown;
  /** `null`: the member is taken away. */
  readonly after: unknown;
  /** True if the change weakens the verification, so that it may need the approval of a second identity. */
  readonly weakens: boolean;
}

type Members = ReadonlyMap<string, unknown>;
type Weakens = (before: unknown, after: unknown, members: Members) => boolean;

/*
 * These rules are those of src/relying-parties/setting-changes.ts, which the page cannot import. A spec holds them against each
 * other for policies of all kinds.
 */

/** True if the value goes down this list, whose first entry is the strictest. */
const goesDown =
  (...strictest: readonly unknown[]): Weakens =>
  (before, after) =>
    strictest.indexOf(after) > strictest.indexOf(before);
const adds: Weakens = (before, after) => listOf(after).some((entry) => !listOf(before).includes(entry));
const rises: Weakens = (before, after) => Number(after) > Number(before);
const isSwitchedTo =
  (weak: boolean): Weakens =>
  (_, after) =>
    after === weak;
const allowsMore: Weakens = (before, after, members) => {
  if (after === undefined) return true;
  const everyModel = before === undefined && members.get('/policy/authenticators/unknown') === 'allow';
  return !everyModel && adds(before, after, members);
};
const framesMore: Weakens = (before, after, members) =>
  listOf(before).length > 0 && (listOf(after).length === 0 || adds(before, after, members));
const acceptsMore: Weakens = (before, after) => before !== 'any' && after !== 'device-bound' && after !== before;

const WEAKENS: Readonly<Record<string, Weakens>> = {
  '/origins': adds,
  '/enabled': isSwitchedTo(true),
  '/successor/rpId': () => true,
  '/successor/endsAt': () => true,
  '/successor/registrations': (before, after) => before === 'refuse' && after !== 'refuse',
  '/policy/userVerification': goesDown('required', 'preferred', 'discouraged'),
  '/policy/attestation/conveyance': goesDown('enterprise', 'direct', 'indirect', 'none'),
  '/policy/attestation/trust': goesDown('trusted', 'any'),
  '/policy/attestation/formats': adds,
  '/policy/authenticators/allow': allowsMore,
  '/policy/authenticators/deny': (before, after, members) => adds(after, before, members),
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

const PURPOSE_MEMBERS = ['userVerification', 'challengeTtlSeconds', 'backup', 'attestation', 'maxAgeSeconds'] as const;

/** Lists the members by which two settings differ: those of purposes first. */
export function listDifferences(before: CompleteSettings, after: CompleteSettings): Difference[] {
  const [stored, wanted] = [listMembers(before), listMembers(after)];
  const members = [...new Set([...stored.keys(), ...wanted.keys()])].flatMap((pointer): Difference[] => {
    const [was, is] = [stored.get(pointer), wanted.get(pointer)];
    if (isSame(was, is)) return [];
    const weakens = WEAKENS[pointer]?.(was, is, stored) ?? false;
    return [{ pointer, before: was ?? null, after: is ?? null, weakens }];
  });
  return [...listPurposes(before.policy, after.policy), ...members];
}

function listPurposes(stored: Policy, wanted: Policy): Difference[] {
  const names = new Set([...Object.keys(stored.purposes), ...Object.keys(wanted.purposes)]);
  return [...names].flatMap((name) => {
    const [was, is] = [findPurpose(stored, name), findPurpose(wanted, name)];
    const [before, after] = [apply(stored, was), apply(wanted, is)];
    return PURPOSE_MEMBERS.filter((member) => was[member] !== is[member]).map((member) => ({
      pointer: `/policy/purposes/${name.replaceAll('~', '~0').replaceAll('/', '~1')}/${member}`,
      before: was[member] ?? null,
      after: is[member] ?? null,
      weakens: isWeaker(member, before, after),
    }));
  });
}

export function findPurpose({ purposes }: Pick<Policy, 'purposes'>, name: string): PurposePolicy {
  return (Object.hasOwn(purposes, name) && purposes[name]) || {};
}

type Applied = Required<PurposePolicy> & { readonly admission: string };

/** What holds for a ceremony of a purpose: its demands, and the policy's where it has none. */
function apply(policy: Policy, purpose: PurposePolicy): Applied {
  const { userVerification, challengeTtlSeconds, backup } = policy;
  const attestation = purpose.attestation ?? policy.attestation.trust;
  const own = { userVerification, challengeTtlSeconds, backup, maxAgeSeconds: Infinity };
  return { ...own, ...purpose, attestation, admission: purpose.attestation ?? 'any' };
}

function isWeaker(member: (typeof PURPOSE_MEMBERS)[number], before: Applied, after: Applied): boolean {
  const none: Members = new Map();
  if (member === 'maxAgeSeconds') return rises(before.maxAgeSeconds, after.maxAgeSeconds, none);
  if (member !== 'attestation') return WEAKENS[`/policy/${member}`]!(before[member], after[member], none);
  const trustsMore = WEAKENS['/policy/attestation/trust']!;
  return trustsMore(before.attestation, after.attestation, none) || trustsMore(before.admission, after.admission, none);
}

/** The members of settings by their pointers, without those of purposes; a list is one member. */
function listMembers({ name, origins, enabled, policy, successor }: CompleteSettings): Members {
  const { purposes: _, ...rules } = policy;
  const members = new Map<string, unknown>([
    ['/name', name],
    ['/origins', origins],
    ['/enabled', enabled],
  ]);
  for (const [member, value] of Object.entries(successor ?? {}))
    if (value !== null) members.set(`/successor/${member}`, value);
  for (const [member, value] of Object.entries(rules) as [string, unknown][]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) members.set(`/policy/${member}`, value);
    else for (const [inner, each] of Object.entries(value)) members.set(`/policy/${member}/${inner}`, each);
  }
  return members;
}

/** Values are texts, numbers, truth values, and lists of them. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
