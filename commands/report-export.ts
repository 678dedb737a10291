/** Prints what happened, from an export of the audit log. audit-report.ts says how its parts work together. */
import { writeFileSync } from 'node:fs';
import { findAuthenticatorName } from '../src/authenticators/authenticator-names.js';
import { readNotes } from '../src/tlog/checkpoint-trail.js';
import { ExportError } from '../src/tlog/lines.js';
import { renderHtml } from './audit-report/html-report.js';
import { buildReport } from './audit-report/report.js';
import { Review, reviewExport } from './audit-report/review.js';
import { renderText } from './audit-report/text-report.js';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  ProgressLine,
  UsageError,
} from './command-line.js';
import { KEY_TEXT, readKeyFiles } from './key-files.js';

/** The program, and `passkey-manager audit report`. */
export const REPORT = {
  command: 'npm run audit:report --',
  imageCommand: 'node dist/commands/audit-report.js',
  usage: ['EXPORT|- [--key FILE]… [--checkpoints NOTES]… [--from RFC3339] [--to RFC3339] [--html PAGE]'],
  about:
    'Reports what happened, from an export of the audit log, for the daily review (PCI DSS 4.0.1 10.4.1.1). With a key, it proves the export as it reads, and prints no report if the export does not verify. Without a key, the report says that nothing is proved. It needs no database and no network.',
  operands: { EXPORT: 'The answer of GET /v1/audit/export; - reads standard input.' },
  options: {
    key: {
      value: 'FILE',
      text: KEY_TEXT,
      multiple: true,
    },
    checkpoints: {
      value: 'NOTES',
      text: 'Checkpoints that were signed over time, one after another. Give the option once for each replica’s file. It requires --key.',
      multiple: true,
    },
    from: { value: 'RFC3339', text: 'A time. Earlier events are not in the report.' },
    to: { value: 'RFC3339', text: 'A time. Events at this time or later are not in the report.' },
    html: { value: 'PAGE', text: 'Also writes the report to this file, as one HTML page that needs no other file.' },
  },
  examples: ['export.ndjson --key audit.pub --html report.html'],
  exitCodes: {
    [EXIT.done]: 'The report is printed.',
    [EXIT.failed]: 'The export does not verify, and there is no report.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read or written.',
  },
} as const satisfies Program;

const progress = new ProgressLine(200);

async function printReport({ values, operands: [path] }: Arguments<typeof REPORT.options>): Promise<void> {
  if (path === undefined) throw new UsageError('Give one EXPORT.');
  const { key, checkpoints, html } = values;
  if (checkpoints.length > 0 && key.length === 0) throw new UsageError('--checkpoints requires --key.');
  const period = { from: parseTime('--from', values.from) ?? -Infinity, to: parseTime('--to', values.to) ?? Infinity };
  const { keys, former } = key.length === 0 ? {} : readKeyFiles(key);
  const anchored = checkpoints.map((file) => readNotes(openInput(file)));
  const review = new Review(period);
  const onProgress = (_bytes: number, lines: number): void => {
    progress.show(() => `${lines.toLocaleString('en')} lines`);
  };
  const proved = await reviewExport(openInput(path), review, keys, { former, anchored, onProgress });
  progress.clear();
  const file = path === '-' ? 'standard input' : path;
  const report = buildReport(review, { file, proved, modelName: findAuthenticatorName });
  process.stdout.write(renderText(report));
  if (html === undefined) return;
  writeFileSync(html, renderHtml(report));
  console.log(`\nThe page is in ${html}.`);
}

function parseTime(name: string, text: string | undefined): number | undefined {
  const time = text === undefined ? undefined : Date.parse(text);
  if (Number.isNaN(time)) throw new UsageError(`${name} is not a time.`);
  return time;
}

/** Prints the report of an export. @throws UsageError, Error that names a file */
export async function reportExport(given: Arguments<typeof REPORT.options>): Promise<ExitCode> {
  try {
    await printReport(given);
    return EXIT.done;
  } catch (error) {
    progress.clear();
    if (!(error instanceof ExportError)) throw error;
    console.error(`${given.operands[0] ?? 'The export'} does not verify: ${error.message}`);
    return EXIT.failed;
  }
}
