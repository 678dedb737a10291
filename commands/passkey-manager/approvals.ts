import type { PasskeyManager, Schemas } from '../../clients/typescript/src/client.ts';
import { EXIT, type ExitCode } from '../command-line.js';
import { type Command, defineServiceCommand, demand, readChoice, REASON } from './command.js';
import { type Cell, formatTime, type Printer } from './printer.js';

type Approval = Schemas['Approval'];
type Change = Schemas['SettingChange'];

const STATUSES = ['pending', 'approved', 'refused', 'expired'] as const;

/** Tells a user that nothing is changed yet, and how to go on. */
export function explainApproval(printer: Printer, approval: Approval): ExitCode {
  printer.note(
    `Nothing is changed yet: the access policy asks for the approval of a second identity, until ${formatTime(approval.expiresAt) ?? ''}. That identity runs:\n  passkey-manager approvals approve ${approval.id} --reason TEXT\nThe service acts then; repeat nothing. What became of it: passkey-manager approvals show ${approval.id}`,
  );
  showApproval(printer, approval);
  return EXIT.waitsForApproval;
}

function describeSubject({ permission, userId, sealKey, change }: Approval): string {
  if (sealKey) return `key ${sealKey.id}, ${String(sealKey.rows)} rows`;
  if (change)
    return `${String(change.changes.length)} settings, ${String(change.changes.filter(({ weakens }) => weakens).length)} weaker`;
  return permission === 'passkeys:erase' ? `user ${userId ?? '(erased)'}` : permission;
}

function showApproval(printer: Printer, approval: Approval): void {
  const { id, permission, rpId, status, requestedBy, requestedAt, expiresAt, decidedBy, decidedAt, reason, change } =
    approval;
  printer.showRecord(approval, {
    id,
    status,
    asks: `${permission}: ${describeSubject(approval)}`,
    'relying party': rpId ?? undefined,
    requested: `${formatTime(requestedAt) ?? ''} by ${requestedBy}`,
    expires: formatTime(expiresAt),
    decided: decidedBy === null ? undefined : `${formatTime(decidedAt) ?? ''} by ${decidedBy}`,
    reason: reason ?? undefined,
  });
  if (change && !printer.isJson) {
    printer.write('');
    showChanges(printer, change.changes);
  }
}

/** Shows what a change of settings changes. */
export function showChanges(printer: Printer, changes: readonly Change[]): void {
  const format = (value: unknown): string => (value === null ? '-' : JSON.stringify(value));
  printer.showTable(changes, {
    setting: ({ pointer }) => pointer,
    effect: ({ weakens }): Cell => (weakens ? { text: 'weaker', tone: 'caution' } : 'not weaker'),
    before: ({ before }) => format(before),
    after: ({ after }) => format(after),
  });
}

const ID = { ID: 'The id of the request for approval.' };

const list = defineServiceCommand(
  ['approvals', 'list'],
  {
    usage: ['[--status STATUS]'],
    about: 'Lists the requests that wait for the approval of a second identity, or were decided.',
    needs: 'approvals:decide',
    options: { status: { value: STATUSES.join('|'), text: 'Only requests in this state.' } },
    examples: ['--status pending'],
  },
  async ({ values }, { client, printer, signal }) => {
    const status = readChoice('--status', values.status, STATUSES);
    const approvals = await readAll(client, status, signal);
    printer.showList(
      approvals,
      {
        id: ({ id }) => id,
        status: ({ status }) => status,
        permission: ({ permission }) => permission,
        expires: ({ expiresAt }) => formatTime(expiresAt),
        rp: ({ rpId }) => rpId,
        'requested by': ({ requestedBy }) => requestedBy,
        asks: describeSubject,
      },
      'There is no such request.',
    );
    return EXIT.done;
  },
);

async function readAll(
  client: PasskeyManager,
  status: Approval['status'] | undefined,
  signal: AbortSignal,
): Promise<Approval[]> {
  const approvals: Approval[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 200, ...(status && { status }), ...(cursor !== undefined && { cursor }) };
    const page = await client.listApprovals(query, { signal });
    approvals.push(...page.data);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return approvals;
}

const show = defineServiceCommand(
  ['approvals', 'show'],
  {
    usage: ['ID'],
    about: 'Shows a request for approval, and what became of it.',
    needs: 'to have made the request, or approvals:decide',
    operands: ID,
    options: {},
    examples: ['01955121-3872-7fa2-94f9-ac2b3d0ef516'],
  },
  async ({ operands: [id] }, { client, printer, signal }) => {
    showApproval(printer, await client.getApproval(demand('the ID of a request', id), { signal }));
    return EXIT.done;
  },
);

function defineDecision(verb: 'approve' | 'refuse', about: string): Command {
  return defineServiceCommand(
    ['approvals', verb],
    {
      usage: ['ID --reason TEXT'],
      about,
      needs: 'approvals:decide',
      operands: ID,
      options: { reason: REASON },
      examples: ['01955121-3872-7fa2-94f9-ac2b3d0ef516 --reason "change 4711"'],
    },
    async ({ operands: [id], values }, { client, printer }) => {
      const [request, reason] = [demand('the ID of a request', id), demand('a --reason', values.reason)];
      const decided =
        verb === 'approve' ? client.approveRequest(request, reason) : client.refuseRequest(request, reason);
      showApproval(printer, await decided);
      return EXIT.done;
    },
  );
}

export const APPROVALS: readonly Command[] = [
  list,
  show,
  defineDecision('approve', 'Approves a request of another identity. The service then does what it asks for.'),
  defineDecision('refuse', 'Refuses a request of another identity.'),
];
