/** The members of an event that the page shows. An event comes from the log, so nothing of it is taken for granted. */
export interface LoggedEvent {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly type: string;
  readonly outcome: 'success' | 'failure' | 'finding';
  /** The slug of the problem or of the reason. */
  readonly reason: string;
  readonly detail: string;
  /** Why somebody did it, in the words of the caller. */
  readonly why: string;
  /** The SPIFFE ID, `unidentified`, or the name of the program that acted on its own. */
  readonly actor: string;
  readonly address: string;
  readonly userId: string;
  /** What the log has in the place of the user id; empty if the service shows it as it was logged. */
  readonly pseudonym: string;
  readonly rpId: string;
  /** The id of the credential, or its credential id where there is no other. */
  readonly credential: string;
  /** The title of a finding. */
  readonly finding: string;
  /** The place in the log; undefined for an event that has none yet. */
  readonly sequence: number | undefined;
  readonly requestId: string;
  readonly facts: Members;
}

export type Members = Readonly<Record<string, unknown>>;

export function toMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

const toText = (value: unknown): string => (typeof value === 'string' ? value : '');

/** @param event an OCSF event; missing members become empty */
export function readLoggedEvent(event: unknown): LoggedEvent {
  const members = toMembers(event);
  const of = (name: string): Members => toMembers(members[name]);
  const [metadata, actor, facts, entity] = [of('metadata'), of('actor'), of('unmapped'), of('entity')];
  const evidence = toMembers(Array.isArray(members['evidences']) ? members['evidences'][0] : undefined);
  const source = members['src_endpoint'] === undefined ? toMembers(evidence['src_endpoint']) : of('src_endpoint');
  const credential = toMembers(facts['credential']);
  const { time } = members;
  const failed = members['status'] === 'Failure';
  return {
    id: toText(metadata['uid']),
    time: typeof time === 'number' ? time : Number.NaN,
    type: toText(metadata['event_code']) || toText(members['type_name']) || '(unknown)',
    outcome: members['class_uid'] === 2004 ? 'finding' : failed ? 'failure' : 'success',
    reason: toText(members['status_code']),
    detail: toText(members['status_detail']),
    why: toText(facts['status_reason']),
    actor: toText(actor['app_uid']) || toText(actor['app_name']),
    address: toText(source['ip']) || toText(source['name']),
    userId:
      toText(of('user')['uid']) ||
      (entity['type'] === 'User' ? toText(entity['uid']) : toText(toMembers(entity['user'])['uid'])) ||
      toText(toMembers(evidence['user'])['uid']) ||
      toText(credential['user_uid']),
    pseudonym: toText(of('user')['uid_alt']) || toText(toMembers(facts['user'])['uid_alt']),
    rpId: toText(facts['rp_id']),
    credential: toText(credential['uid']) || toText(credential['credential_id']),
    finding: toText(of('finding_info')['title']),
    sequence: typeof metadata['sequence'] === 'number' ? metadata['sequence'] : undefined,
    requestId: toText(metadata['correlation_uid']),
    facts,
  };
}
