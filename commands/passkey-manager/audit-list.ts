import type { PasskeyManager } from '../../clients/typescript/src/client.ts';
import { EXIT } from '../command-line.js';
import { defineServiceCommand, readChoice, readCount } from './command.js';
import { EVENT_COLUMNS, type Event, type EventRow, readEvent } from './event-row.js';
import { readTime, TIME_FORMS } from './given-time.js';
import type { Columns } from './printer.js';

const OUTCOMES = ['success', 'failure'] as const;
const MAX_PAGE = 200;
const DEFAULT_LIMIT = 50;

const { reason, ...COLUMNS_BEFORE } = EVENT_COLUMNS;
/** With the id that audit show takes. */
const COLUMNS: Columns<EventRow> = { ...COLUMNS_BEFORE, event: ({ id }) => id, reason: reason! };

type Query = NonNullable<Parameters<PasskeyManager['listAuditEvents']>[0]>;

export const LIST = defineServiceCommand(
  ['audit', 'list'],
  {
    usage: [
      '[--type TYPE] [--user USER] [--credential ID] [--actor NAME] [--outcome OUTCOME] [--from TIME] [--to TIME] [--limit N]',
    ],
    about:
      'Lists events of the audit log, the newest first, with the user ids that auth-service gives. The log records the read. The service cannot search by relying party: audit tail has --rp, and the column RP tells events apart.',
    needs: 'audit:read',
    options: {
      type: { value: 'TYPE', text: 'Only events of this type, such as credential.verify.' },
      user: { value: 'USER', text: 'Only events of this user.' },
      credential: { value: 'ID', text: 'Only events of this passkey, by its id or its WebAuthn credential id.' },
      actor: {
        value: 'NAME',
        text: 'Only requests of this caller, by its SPIFFE ID; or by the end of it, if the rest is as in your own.',
      },
      outcome: { value: OUTCOMES.join('|'), text: 'Only events with this outcome.' },
      from: { value: 'TIME', text: `Only events at this time or later. ${TIME_FORMS}` },
      to: { value: 'TIME', text: `Only events before this time. ${TIME_FORMS}` },
      limit: { value: 'N', text: `How many at most; ${String(DEFAULT_LIMIT)} by default, 0 for all.` },
    },
    examples: [
      '--user ada --outcome failure',
      '--actor auth-service --from 2026-03-01',
      '--type credential.revoke --from 2026-03-01T08:00:00Z --limit 0 -o json',
    ],
  },
  async ({ values }, { client, printer, signal }) => {
    const { type, user: userId, credential: credentialId } = values;
    const outcome = readChoice('--outcome', values.outcome, OUTCOMES);
    const [from, to] = [readTime('--from', values.from), readTime('--to', values.to)];
    const given = readCount('--limit', values.limit) ?? DEFAULT_LIMIT;
    const limit = given === 0 ? Infinity : given;
    const actor = await completeActor(client, values.actor, signal);
    const filter = { type, userId, credentialId, actor, outcome, from, to };
    const query = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Query;
    const { events, more } = await listEvents(client, query, limit, signal);
    if (printer.isJson) printer.showJson(events);
    else printer.showList(events.map(readEvent), COLUMNS, describeNone(query));
    if (more) printer.note(`There are more than ${String(limit)}: --limit 0 lists all.`);
    return EXIT.done;
  },
);

async function listEvents(
  client: PasskeyManager,
  query: Query,
  limit: number,
  signal: AbortSignal,
): Promise<{ events: Event[]; more: boolean }> {
  const events: Event[] = [];
  let cursor: string | undefined;
  do {
    const asked = {
      ...query,
      limit: Math.min(MAX_PAGE, limit - events.length),
      ...(cursor !== undefined && { cursor }),
    };
    const page = await client.listAuditEvents(asked, { signal });
    events.push(...page.data);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && events.length < limit);
  return { events, more: cursor !== undefined };
}

/**
 * Completes the name by which tables show a caller. One with a slash is a path in the trust domain of whoever asks; one without is
 * beside it.
 */
async function completeActor(
  client: PasskeyManager,
  actor: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (actor === undefined || actor.startsWith('spiffe://')) return actor;
  const { id } = await client.getCaller({ signal });
  const end = actor.includes('/') ? id.indexOf('/', 'spiffe://'.length) : id.lastIndexOf('/');
  return `${id.slice(0, end)}/${actor.replace(/^\//, '')}`;
}

/** Says what was asked, so that a reader notices a wrong name. */
function describeNone({ type, userId, credentialId, actor, outcome, from, to }: Query): string {
  const asked = [
    type === undefined ? undefined : `of type ${type}`,
    userId === undefined ? undefined : `of user ${userId}`,
    credentialId === undefined ? undefined : `of passkey ${credentialId}`,
    actor === undefined ? undefined : `of actor ${actor}`,
    outcome === undefined ? undefined : `with outcome ${outcome}`,
    from === undefined ? undefined : `from ${from} on`,
    to === undefined ? undefined : `before ${to}`,
  ].filter((part) => part !== undefined);
  return `There is no event ${asked.length === 0 ? 'yet' : asked.join(', ')}.`;
}
