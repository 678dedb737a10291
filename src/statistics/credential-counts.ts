import type { CredentialStatus } from '../credentials/credential.entity.js';
import type { AttestationTrust } from '../webauthn/refusal.js';

/** Passkeys that are alike in all that is counted. */
export interface CountedGroup {
  readonly status: CredentialStatus;
  readonly aaguid: string;
  readonly algorithm: number;
  /** null: it is not known. */
  readonly backupEligible: boolean | null;
  readonly backedUp: boolean;
  readonly trust: AttestationTrust;
  readonly unused: boolean;
  readonly count: number;
}

type Counts = Readonly<Record<string, number>>;

/**
 * The passkeys of a relying party, by each property. A name may be absent if there are none. All but `status` count the passkeys
 * that are not revoked.
 */
export interface CredentialCounts {
  readonly status: Counts;
  /** By AAGUID. */
  readonly models: Counts;
  /** The passkeys of further models. An AAGUID is a claim, so a client can make up any number of them. */
  readonly otherModels: number;
  readonly algorithms: Counts;
  /** By backup eligibility and backup state: `true true`, `null false`. */
  readonly backup: Counts;
  readonly trust: Counts;
  readonly unused: number;
}

/** The most models that are counted one by one. */
const MOST_MODELS = 1_000;

export const NO_CREDENTIALS: CredentialCounts = {
  ...{ status: {}, models: {}, otherModels: 0, algorithms: {}, backup: {}, trust: {}, unused: 0 },
};

export function addGroups(counts: CredentialCounts, groups: readonly CountedGroup[]): CredentialCounts {
  const held = groups.filter(({ status }) => status !== 'revoked');
  const models = add(counts.models, held, ({ aaguid }) => aaguid);
  const names = Object.keys(models);
  const beyond = names.length > MOST_MODELS ? chooseBeyond(counts.models, models) : [];
  const others = beyond.reduce((sum, name) => sum + models[name]!, counts.otherModels);
  return {
    status: add(counts.status, groups, ({ status }) => status),
    models: Object.fromEntries(Object.entries(models).filter(([name]) => !beyond.includes(name))),
    otherModels: others,
    algorithms: add(counts.algorithms, held, ({ algorithm }) => String(algorithm)),
    backup: add(counts.backup, held, ({ backupEligible, backedUp }) => `${String(backupEligible)} ${String(backedUp)}`),
    trust: add(counts.trust, held, ({ trust }) => trust),
    unused: held.reduce((sum, { unused, count }) => (unused ? sum + count : sum), counts.unused),
  };
}

/** A model that has its count keeps it, so that the count is whole. */
function chooseBeyond(before: Counts, models: Counts): string[] {
  const added = Object.keys(models).filter((name) => !(name in before));
  const room = MOST_MODELS - Object.keys(before).length;
  return added.toSorted((a, b) => models[b]! - models[a]!).slice(room);
}

function add(counts: Counts, groups: readonly CountedGroup[], nameOf: (group: CountedGroup) => string): Counts {
  const sum: Record<string, number> = { ...counts };
  for (const group of groups) sum[nameOf(group)] = (sum[nameOf(group)] ?? 0) + group.count;
  return sum;
}

/** Reads stored counts. @returns undefined: SQL has stored something else */
export function readCounts(value: unknown): CredentialCounts | undefined {
  const counts = value as CredentialCounts | null;
  const isWhole =
    typeof counts === 'object' &&
    counts !== null &&
    [counts.otherModels, counts.unused].every(isCount) &&
    [counts.status, counts.models, counts.algorithms, counts.backup, counts.trust].every(areCounts);
  return isWhole ? counts : undefined;
}

function areCounts(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isCount);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
