import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { PasskeyManager } from '../../clients/typescript/src/client.ts';
import { EXIT, type ExitCode } from '../command-line.js';
import { REPORT, reportExport } from '../report-export.js';
import { VERIFY, verifyExportFile } from '../verify-export.js';
import { type Command, defineCommand, defineServiceCommand, demand, readChoice, readCount } from './command.js';
import { EVENT_COLUMNS, type Event, readEvent } from './event-row.js';
import { TAIL } from './tail.js';

const OUTCOMES = ['success', 'failure'] as const;
const MAX_PAGE = 200;
const DEFAULT_LIMIT = 50;

type Query = NonNullable<Parameters<PasskeyManager['listAuditEvents']>[0]>;

const list = defineServiceCommand(
  ['audit', 'list'],
  {
    usage: [
      '[--type TYPE] [--user USER] [--credential ID] [--outcome OUTCOME] [--from RFC3339] [--to RFC3339] [--limit N]',
    ],
    about:
      'Lists events of the audit log, the newest first, with the user ids that auth-service gives. The log records the read.',
    needs: 'audit:read',
    options: {
      type: { value: 'TYPE', text: 'Only events of this type, such as credential.verify.' },
      user: { value: 'USER', text: 'Only events of this user.' },
      credential: { value: 'ID', text: 'Only events of this passkey, by its id or its WebAuthn credential id.' },
      actor: { value: 'SPIFFE-ID', text: 'Only requests of this caller.' },
      outcome: { value: OUTCOMES.join('|'), text: 'Only events with this outcome.' },
      from: { value: 'RFC3339', text: 'Only events at this time or later.' },
      to: { value: 'RFC3339', text: 'Only events before this time.' },
      limit: { value: 'N', text: `How many at most; ${String(DEFAULT_LIMIT)} by default, 0 for all.` },
    },
    examples: [
      '--user ada --outcome failure',
      '--type credential.revoke --from 2026-03-01T00:00:00Z --limit 0 -o json',
    ],
  },
  async ({ values }, { client, printer, signal }) => {
    const { type, user: userId, credential: credentialId, actor, from, to } = values;
    const outcome = readChoice('--outcome', values.outcome, OUTCOMES);
    const given = readCount('--limit', values.limit) ?? DEFAULT_LIMIT;
    const limit = given === 0 ? Infinity : given;
    const filter = { type, userId, credentialId, actor, outcome, from, to };
    const query = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Query;
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
    if (printer.isJson) printer.showJson(events);
    else printer.showList(events.map(readEvent), EVENT_COLUMNS, 'There is no such event.');
    if (cursor !== undefined) printer.note(`There are more than ${String(limit)}: --limit 0 lists all.`);
    return EXIT.done;
  },
);

const key = defineServiceCommand(
  ['audit', 'key'],
  {
    usage: ['> FILE'],
    about:
      'Prints the public keys that verify the log. Keep them where the service cannot reach them: audit verify takes them.',
    needs: 'audit:read',
    options: {},
    examples: ['> audit.pub'],
  },
  async (_, { client, printer, signal }) => {
    const keys = (await client.getAuditKeys({ signal })).trimEnd();
    if (printer.isJson) printer.showJson(keys.split('\n'));
    else printer.write(keys);
    return EXIT.done;
  },
);

const exportLog = defineServiceCommand(
  ['audit', 'export'],
  {
    usage: ['--out FILE [--from RFC3339|LEAF] [--to RFC3339|LEAF]'],
    about:
      'Saves the log as lines of JSON that prove themselves. The file appears when it is whole; until then it is FILE.partial. audit verify proves it.',
    needs: 'audit:export',
    options: {
      out: { value: 'FILE', text: 'The file.' },
      from: { value: 'RFC3339|LEAF', text: 'The time or the leaf to begin with; the first without it.' },
      to: { value: 'RFC3339|LEAF', text: 'The time or the leaf to end before; the end of the log without it.' },
    },
    examples: ['--out export.ndjson', '--from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --out day.ndjson'],
  },
  async ({ values }, { client, printer, signal }) => {
    const { from, to } = values;
    const out = demand('--out', values.out);
    const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
    const partial = `${out}.partial`;
    try {
      const lines = await client.exportAuditLog(range, { signal });
      await pipeline(lines, createWriteStream(partial, { mode: 0o600, flush: true }));
      await rename(partial, out);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    printer.note(`${out} is saved. To prove it: passkey-manager audit verify ${out} --key FILE`);
    return EXIT.done;
  },
);

const verify = defineCommand(['audit', 'verify'], { ...VERIFY }, async (given): Promise<ExitCode> =>
  verifyExportFile(given),
);

const report = defineCommand(['audit', 'report'], { ...REPORT }, async (given): Promise<ExitCode> =>
  reportExport(given),
);

export const AUDIT: readonly Command[] = [list, TAIL, exportLog, key, verify, report];
