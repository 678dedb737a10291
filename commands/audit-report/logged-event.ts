import { AUDIT_EVENTS, type AuditEventType } from '../../src/audit/audit-entry.js';

/** The members of a logged event that a review uses. */
export interface LoggedEvent {
  readonly type: string;
  readonly success: boolean;
  readonly reason: string;
  readonly detail: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The caller's SPIFFE ID, `unidentified`, or the name of the program that acted on its own. */
  readonly caller: string;
  readonly address: string;
  readonly rpId: string;
  readonly className: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

type Members = Readonly<Record<string, unknown>>;

const membersOf = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** @param event an OCSF event; missing members become empty */
export function loggedEvent(event: unknown): LoggedEvent {
  const members = membersOf(event);
  const [actor, source, facts] = [membersOf(members['actor']), membersOf(members['src_endpoint']), membersOf(members['unmapped'])]; // prettier-ignore
  const time = members['time'];
  return {
    type: textOf(membersOf(members['metadata'])['event_code']) || '(unknown)',
    success: members['status'] !== 'Failure',
    reason: textOf(members['status_code']),
    detail: textOf(members['status_detail']),
    time: typeof time === 'number' ? time : Number.NaN,
    caller: textOf(actor['app_uid']) || textOf(actor['app_name']),
    address: textOf(source['ip']) || textOf(source['name']),
    rpId: textOf(facts['rp_id']),
    className: textOf(members['class_name']) || '(unknown)',
    facts,
  };
}

export function isKnownType(type: string): type is AuditEventType {
  return Object.hasOwn(AUDIT_EVENTS, type);
}
