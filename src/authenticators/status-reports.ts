/*
 * Decides the present standing of a model from its status reports (FIDO Metadata Service v3.1 §3.1.3 and §3.1.4).
 *
 * The specification says: the latest report reflects the current status; UPDATE_AVAILABLE is intended to address at
 * least all issues reported before; a report without a date is effective while it is present. The service reads that
 * strictly:
 *
 * 1. Reports count in the order of effectiveDate. Reports of one day keep the order of the file. Reports of the future
 *    do not count yet.
 * 2. A later UPDATE_AVAILABLE or FIDO_CERTIFIED… lifts the four compromises. REVOKED means that a model is fraudulent
 *    or has a back door, and only a later FIDO_CERTIFIED… lifts it. Other statuses say nothing about security and lift
 *    nothing: NOT_FIDO_CERTIFIED, SELF_ASSERTION_SUBMITTED, RETIRED and unknown ones.
 * 3. A compromise without a date is never lifted while it is present. No other report without a date lifts anything.
 *
 * A report may be about one firmware version or one attestation certificate. An authentication reveals neither, so each
 * report counts for the whole model.
 */

export interface StatusReport {
  readonly status: string;
  /** Midnight UTC of the day; null: the report is effective while it is present. */
  readonly effectiveDate: Date | null;
}

const COMPROMISES = [
  'USER_VERIFICATION_BYPASS',
  'ATTESTATION_KEY_COMPROMISE',
  'USER_KEY_REMOTE_COMPROMISE',
  'USER_KEY_PHYSICAL_COMPROMISE',
] as const;

type Undesired = (typeof COMPROMISES)[number] | 'REVOKED';

export type Standing = { readonly verdict: 'good' } | { readonly verdict: 'compromised'; readonly status: Undesired };

/** Sorts reports into the order that decideStanding expects. */
export function sortReports(reports: readonly StatusReport[]): readonly StatusReport[] {
  return reports
    .map((report) => ({ report, rank: rankReport(report) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    .map(({ report }) => report);
}

export function decideStanding(ordered: readonly StatusReport[], now: Date): Standing {
  let revoked = false;
  let compromise: Undesired | undefined;
  for (const { status } of keepEffective(ordered, now)) {
    if (status === 'REVOKED') revoked = true;
    else if (isCompromise(status)) compromise = status;
    else if (status === 'UPDATE_AVAILABLE') compromise = undefined;
    else if (isCertification(status)) [revoked, compromise] = [false, undefined];
  }
  const status = revoked ? 'REVOKED' : compromise;
  return status === undefined ? { verdict: 'good' } : { verdict: 'compromised', status };
}

/**
 * Finds the present certification, such as `FIDO_CERTIFIED_L2` (FIDO Metadata Service v3.1 §3.1.4).
 *
 * @returns undefined: the model has none, or is compromised
 */
export function findCertification(ordered: readonly StatusReport[], now: Date): string | undefined {
  if (decideStanding(ordered, now).verdict === 'compromised') return undefined;
  const latest = keepEffective(ordered, now).findLast(({ status }) => /^(NOT_)?FIDO_CERTIFIED/.test(status));
  return latest && CERTIFICATION.test(latest.status) ? latest.status : undefined;
}

function keepEffective(ordered: readonly StatusReport[], now: Date): StatusReport[] {
  return ordered.filter(({ effectiveDate }) => effectiveDate === null || effectiveDate <= now);
}

function rankReport({ status, effectiveDate }: StatusReport): number {
  if (effectiveDate !== null) return effectiveDate.getTime();
  return status === 'REVOKED' || isCompromise(status) ? Infinity : -Infinity;
}

const isCompromise = (status: string): status is Undesired => (COMPROMISES as readonly string[]).includes(status);

/** The levels of FIDO's authenticator certification. The first one has no level. */
const CERTIFICATION = /^FIDO_CERTIFIED(_L[1-3](plus)?)?$/;

const isCertification = (status: string): boolean => status.startsWith('FIDO_CERTIFIED');
