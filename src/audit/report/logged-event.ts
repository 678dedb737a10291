import { AUDIT_EVENTS, type AuditEventType } from '../audit-entry.js';

/** What a review asks of an event of the log. */
export interface LoggedEvent {
  readonly type: string;
  readonly success: boolean;
  readonly reason: string;
  readonly detail: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** SPIFFE ID; `unidentified`, or who acted without being asked. */
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

/** @param event OCSF; what it lacks is empty here */
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
