import { readLoggedEvent } from '../audit-report/logged-event.js';
import { type Cell, type Columns, formatTime } from './printer.js';

export type Event = Readonly<Record<string, unknown>>;

/** The members of an event by which a person looks for it. */
export interface EventRow {
  readonly time: string | null;
  readonly type: string;
  readonly success: boolean;
  readonly reason: string;
  readonly detail: string;
  /** Why somebody says to have done it. */
  readonly statedReason: string;
  readonly caller: string;
  readonly rpId: string;
  /** The user id where the service shows it, otherwise the pseudonym of the log. */
  readonly user: string;
  /** The ids of the passkey: that of the service, and that of WebAuthn. */
  readonly credentials: readonly string[];
  readonly id: string;
  /** The id of the request, which the log of the service has, too. */
  readonly request: string;
  readonly address: string;
  /** What else the event says, by its names in the log. */
  readonly facts: readonly (readonly [name: string, text: string])[];
}

type Members = Readonly<Record<string, unknown>>;
const toMembers = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {});
const toText = (value: unknown): string => (typeof value === 'string' ? value : '');

export function readEvent(event: Event): EventRow {
  const { time, type, success, reason, detail, caller, rpId, address, facts } = readLoggedEvent(event);
  const metadata = toMembers(event['metadata']);
  const { status_reason: stated, ...others } = facts;
  const credential = toMembers(facts['credential']);
  const entity = toMembers(event['entity']);
  const ids = [
    credential['uid'],
    entity['type'] === 'passkey' ? entity['uid'] : undefined,
    credential['credential_id'],
  ];
  return {
    ...{ type, success, reason, detail, caller, rpId, address },
    id: toText(metadata['uid']),
    request: toText(metadata['correlation_uid']),
    statedReason: toText(stated),
    facts: listFacts(others),
    time: Number.isFinite(time) ? formatTime(time) : null,
    user: toText(toMembers(event['user'])['uid']) || toText(credential['user_uid']),
    credentials: [...new Set(ids.map(toText).filter((id) => id !== ''))],
  };
}

/** The facts that no column has. */
function listFacts({ credential: _, rp_id: __, user: ___, ...facts }: Members): [name: string, text: string][] {
  return Object.entries(facts).map(([name, fact]) => [name, typeof fact === 'string' ? fact : JSON.stringify(fact)]);
}

/** The last part of a SPIFFE ID, by which people know a service. */
function shorten(caller: string): string {
  return caller.startsWith('spiffe://') ? caller.slice(caller.lastIndexOf('/') + 1) : caller;
}

export const EVENT_COLUMNS: Columns<EventRow> = {
  time: ({ time }) => time,
  outcome: ({ success }): Cell => (success ? { text: 'success', tone: 'good' } : { text: 'failure', tone: 'bad' }),
  type: ({ type }) => type,
  caller: ({ caller }) => shorten(caller),
  rp: ({ rpId }) => rpId,
  passkey: ({ credentials: [id] }) => id,
  user: ({ user }) => user,
  reason: ({ reason, detail, statedReason }) => [reason, detail, statedReason].filter((text) => text !== '').join(': '),
};

/** For lines that come one after another, each cell has a width of its own. */
const WIDTHS: Readonly<Record<string, number>> = { time: 20, outcome: 7, type: 24, caller: 14, rp: 20 };

export function formatEventLine(row: EventRow): Cell[] {
  return Object.entries(EVENT_COLUMNS).map(([name, cellOf]) => {
    const cell = cellOf(row);
    const [text, width] = [
      typeof cell === 'object' && cell !== null ? cell.text : String(cell ?? ''),
      WIDTHS[name] ?? 0,
    ];
    const padded = (text === '' ? '-' : text).padEnd(width);
    return typeof cell === 'object' && cell !== null ? { ...cell, text: padded } : padded;
  });
}
