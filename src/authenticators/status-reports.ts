/*
 * What the status reports of a model say about it now (FIDO Metadata Service v3.1 §3.1.3 and §3.1.4).
 *
 * The specification: the latest report reflects the current status; UPDATE_AVAILABLE is intended to address at least all
 * issues reported before; a report without a date is effective while it is present. From that, read with care:
 *
 * 1. Reports count in the order of effectiveDate, those of one day in the order of the file; those of the future not yet.
 * 2. The four compromises are lifted by a later UPDATE_AVAILABLE or FIDO_CERTIFIED…; REVOKED, which is said of a model
 *    that is fraudulent or has a back door, by a later FIDO_CERTIFIED… only. Other statuses are no word on security and
 *    lift nothing: NOT_FIDO_CERTIFIED, SELF_ASSERTION_SUBMITTED, RETIRED, and those that are not known here.
 * 3. A compromise without a date is never lifted while it is present; nothing else without a date lifts anything.
 *
 * A report may be about one firmware version or one attestation certificate. An authentication tells neither, so each
 * report is about the whole model.
 */

export interface StatusReport {
  readonly status: string;
  /** Midnight UTC of the day; null: effective while present. */
  readonly effectiveDate: Date | null;
}

const COMPROMISES = [
  'USER_VERIFICATION_BYPASS',
  'ATTESTATION_KEY_COMPROMISE',
  'USER_KEY_REMOTE_COMPROMISE',
  'USER_KEY_PHYSICAL_COMPROMISE',
] as const;

export type Undesired = (typeof COMPROMISES)[number] | 'REVOKED';

export type Standing = { readonly verdict: 'good' } | { readonly verdict: 'compromised'; readonly status: Undesired };

/** In the order in which standingOf and certificationOf want them. */
export function inOrder(reports: readonly StatusReport[]): readonly StatusReport[] {
  return reports
    .map((report) => ({ report, rank: rankOf(report) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    .map(({ report }) => report);
}

export function standingOf(ordered: readonly StatusReport[], now: Date): Standing {
  let revoked = false;
  let compromise: Undesired | undefined;
  for (const { status } of effective(ordered, now)) {
    if (status === 'REVOKED') revoked = true;
    else if (isCompromise(status)) compromise = status;
    else if (status === 'UPDATE_AVAILABLE') compromise = undefined;
    else if (isCertification(status)) [revoked, compromise] = [false, undefined];
  }
  const status = revoked ? 'REVOKED' : compromise;
  return status === undefined ? { verdict: 'good' } : { verdict: 'compromised', status };
}

/** FIDO_CERTIFIED, FIDO_CERTIFIED_L1 … FIDO_CERTIFIED_L3plus; null for none, or none any more. */
export function certificationOf(ordered: readonly StatusReport[], now: Date): string | null {
  const latest = effective(ordered, now).findLast(
    ({ status }) => isCertification(status) || status === 'NOT_FIDO_CERTIFIED' || status === 'REVOKED',
  );
  return latest && isCertification(latest.status) ? latest.status : null;
}

function effective(ordered: readonly StatusReport[], now: Date): StatusReport[] {
  return ordered.filter(({ effectiveDate }) => effectiveDate === null || effectiveDate <= now);
}

function rankOf({ status, effectiveDate }: StatusReport): number {
  if (effectiveDate !== null) return effectiveDate.getTime();
  return status === 'REVOKED' || isCompromise(status) ? Infinity : -Infinity;
}

const isCompromise = (status: string): status is Undesired => (COMPROMISES as readonly string[]).includes(status);

const isCertification = (status: string): boolean => status.startsWith('FIDO_CERTIFIED');
