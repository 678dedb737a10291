import type { ListCredentialsQuery } from './dto/list-credentials.query.js';

/** Which credentials a list has. */
export interface ListFilters extends Omit<ListCredentialsQuery, 'limit' | 'cursor'> {
  /** The relying parties of the caller; null: all. */
  readonly relyingParties: readonly string[] | null;
}

type Filter = keyof ListFilters;
type Filters = Omit<ListFilters, 'relyingParties'>;

/** A condition on the rows of a list, with the value of its parameter, which has its name. */
export interface Condition {
  readonly name: Filter;
  readonly sql: string;
  readonly value: unknown;
}

/** How a list is read. */
export interface ListPlan {
  /** An index has the rows that meet these, in the order of the list. */
  readonly conditions: readonly Condition[];
  /** These are checked of each row that is read. */
  readonly checks: readonly Condition[];
  /** True if the index begins with a relying party or a model. */
  readonly byTime: boolean;
}

/** SQL: the conditions, by the members of the filters. */
const CONDITIONS: Readonly<Record<Filter, string>> = {
  relyingParties: 'credential.rp_id = ANY (:relyingParties)',
  rpId: 'credential.rp_id = :rpId',
  userId: 'credential.user_id = :userId',
  status: 'credential.status = :status',
  aaguid: 'credential.aaguid = :aaguid',
  unusedSince: 'coalesce(credential.last_used_at, credential.created_at) < :unusedSince',
  backedUp: 'credential.backed_up = :backedUp',
  backupEligible: 'credential.backup_eligible = :backupEligible',
  algorithm: 'credential.algorithm = :algorithm',
  attestationTrust: 'credential.attestation_trust = :attestationTrust',
};

/**
 * Chooses the index that a list is read by; what it does not have is checked of each row. Nothing that a sign-in changes has an
 * index, because then every sign-in would write to all of them (docs/adr/0052-operators-see-and-end.md).
 */
export function planList({ relyingParties, ...filters }: ListFilters): ListPlan {
  // The only relying party of a caller is as good as one that the caller names.
  const named = filters.rpId ?? (relyingParties?.length === 1 ? relyingParties[0] : undefined);
  const { unusedSince } = filters;
  const given: Partial<Record<Filter, unknown>> = {
    ...filters,
    rpId: named,
    relyingParties: relyingParties ?? undefined,
    unusedSince: unusedSince === undefined ? undefined : new Date(unusedSince),
  };
  const conditions = (Object.keys(CONDITIONS) as Filter[])
    .filter((name) => given[name] !== undefined)
    .map((name) => ({ name, sql: CONDITIONS[name], value: given[name] }));
  const ofIndex: readonly Filter[] = filters.aaguid === undefined ? ['rpId'] : ['aaguid'];
  const isIndexed = ({ name }: Condition): boolean => ofIndex.includes(name);
  const byTime = conditions.some(isIndexed);
  if (hasOwnIndex(filters, conditions, ofIndex)) return { conditions, checks: [], byTime };
  return { conditions: conditions.filter(isIndexed), checks: conditions.filter((each) => !isIndexed(each)), byTime };
}

/**
 * True if an index has all conditions: of a user, who has few rows; of a relying party or a model; or of another status than
 * active, maybe at a relying party.
 */
function hasOwnIndex(
  { userId, status, aaguid }: Filters,
  conditions: readonly Condition[],
  ofIndex: readonly Filter[],
): boolean {
  const isOfStatus = aaguid === undefined && status !== undefined && status !== 'active';
  const indexed: readonly Filter[] = ['relyingParties', ...ofIndex, ...(isOfStatus ? (['status'] as const) : [])];
  return userId !== undefined || conditions.every(({ name }) => indexed.includes(name));
}
