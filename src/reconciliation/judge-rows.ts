import { parseIdTime } from '../audit/audit-event.repository.js';
import { UUID } from '../http/validators.js';
import type { LoggedChange, RowHistory } from './row-history.js';

/** The tables whose rows the log tells of. */
export type HeldTable = 'credential' | 'user_handle' | 'relying_party';

/**
 * What a row and the log say of each other:
 *
 * - `row-outdated`: the row is older than the log. Somebody put an old row back.
 * - `row-unrecorded`: no event tells of the row, or it is newer than the log.
 * - `row-missing`: the log tells of the row, and it is gone without an erasure.
 * - `user-erased`: the row belongs to a user whose erasure is in the log.
 * - `user-missing`: the credential is there, and the user that it was registered for is not.
 */
export const FINDINGS = ['row-outdated', 'row-unrecorded', 'row-missing', 'user-erased', 'user-missing'] as const;
export type FindingKind = (typeof FINDINGS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly table: HeldTable;
  /** The id of a credential, the pseudonym of a user or the RP ID. */
  readonly subject: string;
  readonly rpId: string | undefined;
  readonly userId?: string | undefined;
  /** The id that the authenticator made, base64url. */
  readonly credentialId?: string | undefined;
  /** What the row says, in words. */
  readonly row: string;
  /** What the log says, in words. */
  readonly log: string;
  /** Id of the event that says so; undefined if there is none. */
  readonly event: string | undefined;
}

export interface CredentialRow {
  readonly id: string;
  readonly rpId: string;
  readonly userId: string;
  readonly credentialId: string;
  readonly version: number;
  readonly status: string;
  /** The pseudonym of the user; null if the user has no handle. */
  readonly uid: string | null;
}

export interface HandleRow {
  readonly rpId: string;
  readonly userId: string;
  readonly uid: string;
}

export interface RelyingPartyRow {
  readonly rpId: string;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** A row that an event tells of and that is not there. */
export interface MissingRow {
  readonly table: Exclude<HeldTable, 'user_handle'>;
  readonly subject: string;
  readonly rpId: string;
  /** null if it is not known. */
  readonly credentialId: string | null;
  /** Id of the event. */
  readonly event: string;
}

/** The clocks of replicas may differ by this much. */
const CLOCK_SKEW_MS = 600_000;

/**
 * @param history what the log says about the credential, with the erasure of its user
 * @param completeSince from this time on, in milliseconds, every event is at hand: older ones may be in archives
 */
export function judgeCredential(row: CredentialRow, history: RowHistory, completeSince: number): Finding | undefined {
  const { id: subject, rpId, userId, credentialId, version, status, uid } = row;
  const { newest, highest, erasure } = history;
  const about = { table: 'credential' as const, subject, rpId, userId, credentialId };
  const says = (kind: FindingKind, log: string, event?: LoggedChange): Finding => ({
    ...{ ...about, kind, log },
    row: `version ${String(version)}, ${status}`,
    event: event?.id,
  });
  if (erasure) return says('user-erased', 'the user is erased', erasure);
  const isKnown = (id: string): boolean => parseIdTime(id) >= completeSince + CLOCK_SKEW_MS;
  if (!newest) return isKnown(subject) ? says('row-unrecorded', 'no event tells of it') : undefined;
  const logged = `version ${String(highest?.version ?? 0)}, ${history.status ?? 'status unknown'}`;
  if (version < (highest?.version ?? 0)) return says('row-outdated', logged, highest);
  if (version > (highest?.version ?? 0) && (isKnown(newest.id) || isKnown(subject)))
    return says('row-unrecorded', logged, newest);
  if (history.revocation && status !== 'revoked') return says('row-outdated', logged, history.revocation);
  const { transition } = history;
  if (transition && status !== history.status && isKnown(transition.id))
    return says('row-outdated', logged, transition);
  if (newest.user !== null && UUID.test(newest.user) && uid !== newest.user) {
    const present = uid === null ? 'no user' : 'another user';
    return { ...says('user-missing', 'the user is not erased', newest), row: present };
  }
  return undefined;
}

export function judgeHandle({ rpId, userId, uid }: HandleRow, { erasure }: RowHistory): Finding | undefined {
  if (!erasure) return undefined;
  const log = 'the user is erased';
  const about = { table: 'user_handle' as const, subject: uid, rpId, userId };
  return { ...about, kind: 'user-erased', row: 'the user is there', log, event: erasure.id };
}

/** The version of a relying party begins again after somebody damaged the row, so the newest event counts. */
export function judgeRelyingParty(
  { rpId, version, createdAt }: RelyingPartyRow,
  { newest }: RowHistory,
  completeSince: number,
): Finding | undefined {
  const about = { table: 'relying_party' as const, subject: rpId, rpId, row: `version ${String(version)}` };
  const isKnown = (time: number): boolean => time >= completeSince + CLOCK_SKEW_MS;
  if (!newest) {
    const log = 'no event tells of it';
    return isKnown(createdAt) ? { ...about, kind: 'row-unrecorded', log, event: undefined } : undefined;
  }
  const logged = newest.version ?? 0;
  const found = { ...about, log: `version ${String(logged)}`, event: newest.id };
  if (version < logged) return { ...found, kind: 'row-outdated' };
  return version > logged && isKnown(parseIdTime(newest.id)) ? { ...found, kind: 'row-unrecorded' } : undefined;
}

export function judgeMissing(row: MissingRow, history: RowHistory): Finding | undefined {
  const { table, subject, rpId, credentialId } = row;
  const { newest, highest, erasure, status } = history;
  if (!newest || erasure) return undefined;
  const about = { table, subject, rpId, credentialId: credentialId ?? undefined };
  const version = (table === 'credential' ? highest : newest)?.version ?? 0;
  const log = `version ${String(version)}${status === undefined ? '' : `, ${status}`}`;
  return { ...about, kind: 'row-missing', row: 'the row is not there', log, event: newest.id };
}

/** A finding in one text. The log holds it, so that the same finding is recorded once. */
export function describeFinding({ kind, row, log }: Finding): string {
  return `${kind}: ${row}; the log says: ${log}`;
}
