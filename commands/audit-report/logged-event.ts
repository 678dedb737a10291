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

const toMembers = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
const toText = (value: unknown): string => (typeof value === 'string' ? value : '');

/** @param event an OCSF event; missing members become empty */
export function readLoggedEvent(event: unknown): LoggedEvent {
  const members = toMembers(event);
  const [actor, source, facts] = [
    toMembers(members['actor']),
    toMembers(members['src_endpoint']),
    toMembers(members['unmapped']),
  ];
  const time = members['time'];
  return {
    type: toText(toMembers(members['metadata'])['event_code']) || '(unknown)',
    success: members['status'] !== 'Failure',
    reason: toText(members['status_code']),
    detail: toText(members['status_detail']),
    time: typeof time === 'number' ? time : Number.NaN,
    caller: toText(actor['app_uid']) || toText(actor['app_name']),
    address: toText(source['ip']) || toText(source['name']),
    rpId: toText(facts['rp_id']),
    className: toText(members['class_name']) || '(unknown)',
    facts,
  };
}
