import type { ProvedExport } from '../../src/tlog/export-verifier.js';
import type { LoggedEvent } from './logged-event.js';
import type { Review } from './review.js';
import { formatCount, formatRate } from './formats.js';

export interface Remark {
  readonly level: 'act' | 'look' | 'note';
  readonly text: string;
  /** The id of the section with the details. */
  readonly section?: string;
}

/** The reasons for refused ceremonies that an honest mistake does not explain. */
const SUSPICIOUS: readonly string[] = [
  'sign-count-regressed',
  'signature-invalid',
  'origin-mismatch',
  'rp-id-mismatch',
  'user-handle-mismatch',
  'authenticator-compromised',
  'transaction-mismatch',
  'payment-mismatch',
  'browser-key-invalid',
  'browser-key-denied',
];
/** The least number of authentications for which a share of refusals is meaningful. */
const ENOUGH = 100;
const REFUSED_SHARE = 0.1;

/** Lists the findings that a reviewer must not overlook, the gravest first. */
export function listRemarks(review: Review, proved: ProvedExport | undefined): Remark[] {
  const remarks: Remark[] = [];
  const add = (level: Remark['level'], count: number, text: string, section?: string): void => {
    if (count > 0) remarks.push({ level, text: `${text}: ${formatCount(count)}`, ...(section && { section }) });
  };
  const signs = review.signs.newest;
  const countType = (events: readonly LoggedEvent[], type: string): number =>
    events.filter((event) => event.type === type).length;
  const countFailed = (type: string): number =>
    review.changes.newest.filter((event) => event.type === type && !event.success).length;
  const countMade = (type: string): number => countType(review.changes.newest, type) - countFailed(type);

  add('act', countType(signs, 'credential.tampered'), 'Passkey records that fail their integrity check', 'signs');
  add('act', countType(signs, 'user.tampered'), 'Users whose record fails its integrity check', 'signs');
  add('act', countType(signs, 'relying-party.tampered'), 'Relying parties that fail their integrity check', 'signs');
  add('act', countType(signs, 'approval.tampered'), 'Requests for approval that fail their integrity check', 'signs');
  add('act', countType(signs, 'reconciliation.finding'), 'Rows that contradict the log', 'signs');
  add('act', countType(signs, 'audit.failure'), 'Failures of the audit log', 'signs');
  add('act', countType(signs, 'signal-stream.drop'), 'Drops of signals before their receiver got them', 'signs');
  add('look', countType(signs, 'risk.signal'), 'Risk signals', 'signs');
  for (const type of [
    'trust.reload',
    'policy.reload',
    'metadata.reload',
    'attestation-roots.reload',
    'receipt-keys.reload',
    'signal-keys.reload',
    'signal-push.reload',
  ])
    add('look', countFailed(type), `${type} refused; the old version stays active`, 'changes');
  const suspicious = review.refusals.rank(({ count }) => count).filter(({ key }) => SUSPICIOUS.includes(key[1] ?? ''));
  for (const { key, value } of suspicious)
    add('look', value.count, `${key[0] ?? ''} refused as ${key[1] ?? ''}`, 'refusals');
  add('look', sumCounts(review.denied) + review.unrecordedDenials, 'Calls denied', 'denied');
  add('look', sumCounts(review.handshakes) + review.unrecordedHandshakes, 'Handshakes refused', 'handshakes');
  addRefusedShare(review, remarks);
  for (const type of [
    'policy.reload',
    'trust.reload',
    'attestation-roots.reload',
    'receipt-keys.reload',
    'signal-keys.reload',
    'signal-push.reload',
    'relying-party.create',
    'relying-party.update',
    'relying-party.seal',
    'relying-party.end',
    'approval.approve',
    'user.revoke',
    'signal-stream.create',
    'signal-stream.update',
    'signal-stream.delete',
    'signal-stream.subject',
    'schema.migrate',
    'audit.rekey',
    'audit.restore',
    'seal-key.add',
    'seal-key.rotate',
    'seal-key.retire',
    'seal-key.force-retire',
    'seal-key.end-old-seals',
  ])
    add('note', countMade(type), `Confirm that each ${type} was intended`, 'changes');
  const begun = review.changes.newest.filter(
    ({ type, facts }) => type === 'credential.export' && facts['state'] === 'begun',
  );
  add('note', begun.length, 'Confirm that each export of all passkeys was intended', 'changes');
  const { success: imported } = review.getOutcomes('Account Change', 'credential.import');
  add('note', imported, 'Passkeys that were imported: confirm that each import was intended', 'types');
  add('note', proved?.anchored?.newer ?? 0, 'Anchored checkpoints that are newer, not covered by this export');
  if (proved) add('note', proved.erased, 'Events that only the archive has, not this report');
  return remarks;
}

const sumCounts = (tally: Review['denied']): number =>
  tally.rank(() => 0).reduce((sum, { value }) => sum + value.count, 0);

function addRefusedShare(review: Review, remarks: Remark[]): void {
  const { success: accepted, failure: refused } = review.getOutcomes('Authentication', 'credential.verify');
  if (accepted + refused < ENOUGH || refused / (accepted + refused) < REFUSED_SHARE) return;
  remarks.push({
    level: 'look',
    text: `Share of authentications that were refused: ${formatRate(refused, accepted + refused)}`,
    section: 'refusals',
  });
}
