import { isDeepStrictEqual } from 'node:util';
import type { SettingChange } from '../approvals/approval.entity.js';
import type { RelyingPartyPolicy } from './relying-party-policy.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

/** Settings in which every member has its value. */
export type CompleteSettings = Pick<RelyingPartyEntity, 'name' | 'origins' | 'enabled' | 'policy'>;

/** @param members all members before the change */
type Weakens = (before: unknown, after: unknown, members: Members) => boolean;

/** True if the value goes down this list, whose first entry is the strictest. */
const goesDown =
  (...strictest: readonly string[]): Weakens =>
  (before, after) =>
    strictest.indexOf(after as string) > strictest.indexOf(before as string);

/** True if a list has an entry that it had not. */
const adds: Weakens = (before, after) => listOf(after).some((entry) => !listOf(before).includes(entry));
const removes: Weakens = (before, after, members) => adds(after, before, members);
const rises: Weakens = (before, after) => Number(after) > Number(before);
const isSwitchedTo =
  (weak: boolean): Weakens =>
  (before, after) =>
    before !== weak && after === weak;

/** An absent list allows every model that `unknown` allows. A list allows its models, also unknown ones. */
const allowsMore: Weakens = (before, after, members) => {
  if (after === undefined) return true;
  const everyModel = before === undefined && members.get('/policy/authenticators/unknown') === 'allow';
  return !everyModel && adds(before, after, members);
};

/** An empty list allows every top origin. */
const framesMore: Weakens = (before, after, members) =>
  listOf(before).length > 0 && (listOf(after).length === 0 || adds(before, after, members));

/** `any` accepts the passkeys of both other rules, and a synced passkey leaves its device. */
const acceptsMore: Weakens = (before, after) => before !== 'any' && after !== 'device-bound' && after !== before;

/** The members of the settings whose change can weaken the verification of a ceremony, by their pointers. */
const WEAKENS: Readonly<Record<string, Weakens>> = {
  '/origins': adds,
  '/enabled': isSwitchedTo(true),
  '/policy/userVerification': goesDown('required', 'preferred', 'discouraged'),
  '/policy/attestation/conveyance': goesDown('enterprise', 'direct', 'indirect', 'none'),
  '/policy/attestation/trust': goesDown('trusted', 'any'),
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
  '/policy/crossOrigin/allow': isSwitchedTo(true),
  '/policy/crossOrigin/topOrigins': framesMore,
  '/policy/identityProof/required': isSwitchedTo(false),
  '/policy/identityProof/maxAgeSeconds': rises,
  '/policy/userLimits/challengesPerMinute': rises,
  '/policy/userLimits/refusalsPerHalfHour': rises,
};

/** The members that cannot weaken the verification. A spec demands that each member is in one of the two lists. */
export const HARMLESS = ['/name', '/policy/residentKey', '/policy/maxCredentialsPerUser'];

/** The pointers of the members that can weaken the verification. */
export const WEAKENING = Object.keys(WEAKENS);

/** Lists the members that a change of settings changes, and says which of the changes weaken the verification. */
export function listChanges(stored: CompleteSettings, wanted: CompleteSettings): SettingChange[] {
  const [before, after] = [stored, wanted].map(listMembers) as [Members, Members];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((pointer) => {
    const [was, is] = [before.get(pointer), after.get(pointer)];
    if (isDeepStrictEqual(was, is)) return [];
    const weakens = WEAKENS[pointer]?.(was, is, before) ?? false;
    return [{ pointer, before: was ?? null, after: is ?? null, weakens }];
  });
}

type Members = Map<string, unknown>;

/** Lists the members of settings by their pointers; a list is one member. */
function listMembers({ name, origins, enabled, policy }: CompleteSettings): Members {
  const members: Members = new Map<string, unknown>([
    ['/name', name],
    ['/origins', origins],
    ['/enabled', enabled],
  ]);
  for (const [member, value] of Object.entries(policy) as [keyof RelyingPartyPolicy, unknown][]) {
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
