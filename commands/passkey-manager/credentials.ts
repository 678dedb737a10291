import type { PasskeyManager, Schemas } from '../../clients/typescript/src/client.ts';
import { EXIT, UsageError } from '../command-line.js';
import { type Command, defineServiceCommand, demand, readChoice, readCount, REASON, RP } from './command.js';
import { readTime, TIME_FORMS } from './given-time.js';
import { type Columns, formatTime, type Printer, type Toned } from './printer.js';

export type Credential = Schemas['Credential'];
type Query = NonNullable<Parameters<PasskeyManager['listCredentials']>[0]>;

const STATUSES = ['active', 'suspended', 'revoked'] as const;
const TONES = { active: 'good', suspended: 'caution', revoked: 'bad' } as const;
const MAX_PAGE = 200;
const DEFAULT_LIMIT = 100;

export function toneStatus(status: Credential['status']): Toned {
  return { text: status, tone: TONES[status] };
}

/** The columns that tell the passkeys of a user apart. */
export const CREDENTIAL_COLUMNS: Columns<Credential> = {
  id: ({ id }) => id,
  status: ({ status }) => toneStatus(status),
  created: ({ createdAt }) => formatTime(createdAt),
  'last used': ({ lastUsedAt }) => formatTime(lastUsedAt) ?? 'never',
  backup: describeBackup,
  model: ({ authenticator, aaguid }) => authenticator?.name ?? aaguid,
  name: ({ name }) => name,
  'reason of the last change': ({ statusReason }) => statusReason,
};

function describeBackup({ backupEligible, backedUp }: Credential): string {
  if (backupEligible === null) return 'not known';
  return backupEligible ? (backedUp ? 'backed up' : 'can be backed up') : 'device-bound';
}

/** Reads pages until there are no more, or as many entries as asked for. */
export async function listCredentials(
  client: PasskeyManager,
  query: Query,
  limit = Infinity,
  signal?: AbortSignal,
): Promise<{ credentials: Credential[]; more: boolean }> {
  const credentials: Credential[] = [];
  let cursor: string | undefined;
  do {
    const asked = Math.min(MAX_PAGE, limit - credentials.length);
    const page = await client.listCredentials(
      { ...query, limit: asked, ...(cursor !== undefined && { cursor }) },
      { signal },
    );
    credentials.push(...page.data);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && credentials.length < limit);
  return { credentials, more: cursor !== undefined };
}

export function showCredential(printer: Printer, credential: Credential): void {
  const { id, status, rpId, userId, name, authenticator, aaguid, attestation } = credential;
  printer.showRecord(credential, {
    id,
    status: toneStatus(status),
    'relying party': rpId,
    user: userId,
    name,
    model: authenticator?.name ?? aaguid,
    attestation: `${attestation.format}, ${attestation.trust}`,
    backup: describeBackup(credential),
    'user verified': credential.userVerified,
    created: `${formatTime(credential.createdAt) ?? ''} by ${credential.createdBy}`,
    'last used': formatTime(credential.lastUsedAt) ?? 'never',
    changed: formatTime(credential.statusChangedAt),
    'reason of the last change': credential.statusReason ?? undefined,
  });
}

const ID = { ID: 'The id of the passkey, a UUID, as users show and credentials list print it.' };

const list = defineServiceCommand(
  ['credentials', 'list'],
  {
    usage: ['[--rp RPID] [--user USER] [--status STATUS] [--unused-since TIME] [--limit N]'],
    about: 'Lists passkeys of a relying party or of a user, the newest first.',
    needs: 'passkeys:read',
    options: {
      rp: RP,
      user: { value: 'USER', text: 'Only passkeys of this user, by the id that auth-service gives.' },
      status: { value: STATUSES.join('|'), text: 'Only passkeys in this state.' },
      aaguid: { value: 'AAGUID', text: 'Only passkeys of this model.' },
      'unused-since': { value: 'TIME', text: `Only passkeys that nobody has used since this time. ${TIME_FORMS}` },
      limit: { value: 'N', text: `How many at most; ${String(DEFAULT_LIMIT)} by default, 0 for all.` },
    },
    examples: ['--rp login.example.com --status suspended', '--rp login.example.com --limit 0 -o json'],
  },
  async ({ values, operands }, { client, printer, signal }) => {
    refuseOperands(operands);
    const { rp, user, aaguid, limit: given } = values;
    const unusedSince = readTime('--unused-since', values['unused-since']);
    const status = readChoice('--status', values.status, STATUSES);
    const limit = readCount('--limit', given) ?? DEFAULT_LIMIT;
    const query = Object.fromEntries(
      Object.entries({ rpId: rp, userId: user, status, aaguid, unusedSince }).filter(
        ([, value]) => value !== undefined,
      ),
    ) as Query;
    const { credentials, more } = await listCredentials(client, query, limit === 0 ? Infinity : limit, signal);
    const { name, 'reason of the last change': reason, ...columns } = CREDENTIAL_COLUMNS;
    printer.showList(
      credentials,
      {
        ...columns,
        ...(rp === undefined && { rp: ({ rpId }) => rpId }),
        user: ({ userId }) => userId,
        name: name!,
        'reason of the last change': reason!,
      },
      'There is no such passkey.',
    );
    if (more) printer.note(`There are more than ${String(limit)}: --limit 0 lists all.`);
    return EXIT.done;
  },
);

const show = defineServiceCommand(
  ['credentials', 'show'],
  {
    usage: ['ID'],
    about: 'Shows a passkey.',
    needs: 'passkeys:read',
    operands: ID,
    options: {},
    examples: ['01955121-3872-7fa2-94f9-ac2b3d0ef516'],
  },
  async ({ operands: [id] }, { client, printer, signal }) => {
    showCredential(printer, await client.getCredential(demand('the ID of a passkey', id), { signal }));
    return EXIT.done;
  },
);

type Change = (client: PasskeyManager, id: string, reason: string) => Promise<Credential>;

function defineChange(verb: string, about: string, example: string, change: Change): Command {
  return defineServiceCommand(
    ['credentials', verb],
    {
      usage: ['ID --reason TEXT'],
      about,
      needs: 'passkeys:manage',
      operands: ID,
      options: { reason: REASON },
      examples: [`01955121-3872-7fa2-94f9-ac2b3d0ef516 --reason "${example}"`],
    },
    async ({ operands: [id], values }, { client, printer }) => {
      const reason = demand('a --reason', values.reason);
      showCredential(printer, await change(client, demand('the ID of a passkey', id), reason));
      return EXIT.done;
    },
  );
}

function refuseOperands([operand]: readonly string[]): void {
  if (operand !== undefined) throw new UsageError(`'${operand}' is one argument too many.`);
}

export const CREDENTIALS: readonly Command[] = [
  list,
  show,
  defineChange(
    'suspend',
    'Suspends a passkey: nobody can use it until it is reinstated.',
    'the phone is lost',
    (client, id, reason) => client.suspendCredential(id, reason),
  ),
  defineChange('reinstate', 'Makes a suspended passkey active again.', 'the phone is found', (client, id, reason) =>
    client.reinstateCredential(id, reason),
  ),
  defineChange(
    'revoke',
    'Revokes a passkey for good. Nothing makes it active again.',
    'the phone is stolen',
    (client, id, reason) => client.revokeCredential(id, reason),
  ),
];
