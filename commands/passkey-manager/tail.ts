import { EXIT, type ExitCode } from '../command-line.js';
import { defineServiceCommand, readChoice, readCount, RP, type Session } from './command.js';
import { type EventRow, formatEventLine, readEvent } from './event-row.js';
import { LogFollower, type LoggedLeaf, readSize } from './log-follower.js';

const OUTCOMES = ['success', 'failure'] as const;
const DEFAULT_LAST = 10;
const DEFAULT_INTERVAL_SECONDS = 2;

/** What the user wants to see of the log. */
interface Filter {
  readonly types: readonly string[];
  readonly outcome: 'success' | 'failure' | undefined;
  readonly actor: string | undefined;
  readonly rpId: string | undefined;
  readonly credential: string | undefined;
}

function matches({ types, outcome, actor, rpId, credential }: Filter, row: EventRow): boolean {
  return (
    (types.length === 0 || types.some((type) => row.type === type || row.type.startsWith(`${type}.`))) &&
    (outcome === undefined || row.success === (outcome === 'success')) &&
    (actor === undefined || row.caller === actor || row.caller.endsWith(`/${actor}`)) &&
    (rpId === undefined || row.rpId === rpId) &&
    (credential === undefined || row.credentials.includes(credential))
  );
}

export const TAIL = defineServiceCommand(
  ['audit', 'tail'],
  {
    usage: [
      '[--type TYPE]… [--outcome OUTCOME] [--actor NAME] [--rp RPID] [--credential ID] [--last N | --from-leaf N] [--no-follow]',
    ],
    about:
      'Shows the audit log as it grows, until Ctrl-C. Each event comes once, in the order of the log, and none is left out: it goes on where it was when the service was replaced or the connection broke. A user is shown by the pseudonym of the log; audit list has user ids. With --output json a line is a leaf of the log.',
    needs: 'audit:read and audit:export',
    options: {
      type: {
        value: 'TYPE',
        text: 'Only events of this type, such as credential.revoke, or of all types that begin so, such as credential. Give the option once for each type.',
        multiple: true,
      },
      outcome: { value: OUTCOMES.join('|'), text: 'Only events with this outcome.' },
      actor: { value: 'NAME', text: 'Only requests of this caller, by its SPIFFE ID or the end of it.' },
      rp: RP,
      credential: { value: 'ID', text: 'Only events of this passkey, by its id or its WebAuthn credential id.' },
      last: { value: 'N', text: `Begins with the last N places of the log; ${String(DEFAULT_LAST)} by default.` },
      'from-leaf': { value: 'N', text: 'Begins with this place of the log, to go on after an earlier run.' },
      'no-follow': { text: 'Ends where the log ends now.' },
      own: { text: 'Also shows the events of its own reading, which the service records as audit.export.' },
      interval: {
        value: 'SECONDS',
        text: `How often it looks; every ${String(DEFAULT_INTERVAL_SECONDS)} seconds by default.`,
      },
    },
    examples: ['--outcome failure', '--type credential.revoke --type user', '--from-leaf 4711 -o json'],
    exitCodes: {
      [EXIT.done]: 'Ctrl-C ended it, or with --no-follow the end of the log.',
      [EXIT.failed]: 'The log is shorter than it was, or lacks an event.',
    },
  },
  async ({ values }, session) => {
    const filter: Filter = {
      types: values.type,
      outcome: readChoice('--outcome', values.outcome, OUTCOMES),
      actor: values.actor,
      rpId: values.rp,
      credential: values.credential,
    };
    const last = readCount('--last', values.last) ?? DEFAULT_LAST;
    const intervalMs = (readCount('--interval', values.interval) ?? DEFAULT_INTERVAL_SECONDS) * 1_000;
    const from =
      readCount('--from-leaf', values['from-leaf']) ??
      Math.max(0, (await readSize(session.client, session.signal)) - last);
    return followLog(session, { from, follow: !values['no-follow'], intervalMs, filter, showsOwn: values.own });
  },
);

interface TailOptions {
  readonly from: number;
  readonly follow: boolean;
  readonly intervalMs: number;
  readonly filter: Filter;
  readonly showsOwn: boolean;
}

async function followLog(session: Session, { filter, showsOwn, ...options }: TailOptions): Promise<ExitCode> {
  const { client, signal, printer } = session;
  let trouble: string | undefined;
  const onTrouble = (message: string | undefined): void => {
    if (message !== undefined && trouble === undefined)
      printer.note(`The service does not answer, and this waits for it: ${message}`);
    if (message === undefined && trouble !== undefined) printer.note('The service answers again.');
    trouble = message;
  };
  const follower = new LogFollower(client, { ...options, signal, onTrouble });
  for await (const leaf of follower.follow()) if (showsOwn || !follower.isOwn(leaf)) show(session, leaf, filter);
  if (signal.aborted) printer.note(`\nTo go on: passkey-manager audit tail --from-leaf ${String(follower.next)}`);
  return EXIT.done;
}

function show({ printer }: Session, leaf: LoggedLeaf, filter: Filter): void {
  if (leaf.kind === 'missing')
    printer.note(`Leaf ${String(leaf.leafIndex)}: the event is gone. Verify an export of the log.`);
  if (leaf.event === undefined) return;
  const row = readEvent(leaf.event);
  if (matches(filter, row)) printer.showLine(leaf, formatEventLine(row));
}
