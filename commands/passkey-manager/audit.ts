import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { EXIT, type ExitCode } from '../command-line.js';
import { REPORT, reportExport } from '../report-export.js';
import { VERIFY, verifyExportFile } from '../verify-export.js';
import { LIST } from './audit-list.js';
import { SHOW } from './audit-show.js';
import { type Command, defineCommand, defineServiceCommand, demand } from './command.js';
import { readTime } from './given-time.js';
import { TAIL } from './tail.js';

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
    usage: ['--out FILE [--from TIME|LEAF] [--to TIME|LEAF]'],
    about:
      'Saves the log as lines of JSON that prove themselves. The file appears when it is whole; until then it is FILE.partial. audit verify proves it.',
    needs: 'audit:export',
    options: {
      out: { value: 'FILE', text: 'The file.' },
      from: { value: 'TIME|LEAF', text: 'The day, the time or the leaf to begin with; the first without it.' },
      to: { value: 'TIME|LEAF', text: 'The day, the time or the leaf to end before; the end of the log without it.' },
    },
    examples: ['--out export.ndjson', '--from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --out day.ndjson'],
  },
  async ({ values }, { client, printer, signal }) => {
    const [from, to] = [readPlace('--from', values.from), readPlace('--to', values.to)];
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

/** @returns a time or a leaf @throws UsageError */
function readPlace(name: string, value: string | undefined): string | undefined {
  return value !== undefined && /^\d+$/.test(value) ? value : readTime(name, value, ', or a leaf, such as 4711');
}

const verify = defineCommand(['audit', 'verify'], { ...VERIFY }, async (given): Promise<ExitCode> =>
  verifyExportFile(given),
);

const report = defineCommand(['audit', 'report'], { ...REPORT }, async (given): Promise<ExitCode> =>
  reportExport(given),
);

export const AUDIT: readonly Command[] = [LIST, SHOW, TAIL, exportLog, key, verify, report];
