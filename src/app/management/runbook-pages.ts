import type { HealthIndicatorResult } from '@nestjs/terminus';
import { isLogFault } from '../../audit-log/log-failures.js';

type Detail = Readonly<Record<string, unknown>> & { readonly status: string };

/** The page of docs/runbook.md for each indicator that is down. */
const PAGES: Readonly<Record<string, string>> = {
  database: 'the-database-is-away',
  migrations: 'a-new-version',
  audit: 'no-record-can-be-written',
  certificate: 'a-certificate-is-about-to-expire',
  crl: 'the-crl-is-about-to-expire',
  listener: 'callers-cannot-connect',
  binding_key: 'a-binding-key-is-missing',
  spent_challenges: 'periods-of-spent-challenges-are-missing',
};

/** The pages for members that name a fault of an indicator, whether it is up or down; the first one counts. */
const FAULTS: Readonly<Record<string, string>> = {
  standsStillSince: 'the-log-stands-still',
  refused: 'a-reload-is-refused',
  ageing: 'the-crl-is-about-to-expire',
  stale: 'fido-metadata-is-stale',
  lost: 'log-lines-are-lost',
  failures: 'the-audit-log-fails',
  forgotten: 'a-start-does-not-know-what-was-anchored',
  oldAccepted: 'old-seals-still-count',
  findings: 'a-row-contradicts-the-log',
  failure: 'the-reconciliation-is-late',
  failed: 'credentialtampered-is-recorded',
  failing: 'a-receiver-takes-no-signals',
};

/** Adds the page of the runbook to each indicator that is down or names a fault. */
export function addRunbookPages(result: HealthIndicatorResult): HealthIndicatorResult {
  const entries = Object.entries(result).map(([indicator, detail]) => {
    const page = findPage(indicator, detail as Detail);
    return [indicator, page === undefined ? detail : { ...detail, runbook: `docs/runbook.md#${page}` }];
  });
  return Object.fromEntries(entries) as HealthIndicatorResult;
}

function findPage(indicator: string, detail: Detail): string | undefined {
  const fault = Object.keys(FAULTS).find((member) => isPresent(detail[member]));
  if (detail.status !== 'up') {
    if (Array.isArray(detail['failures']) && detail['failures'].some(isLogFault)) return 'a-log-that-is-not-continued';
    return fault === 'standsStillSince' ? FAULTS[fault] : PAGES[indicator];
  }
  return fault && FAULTS[fault];
}

function isPresent(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value);
}
