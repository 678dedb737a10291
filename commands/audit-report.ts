/**
 * Reports what happened, from an export of the audit log, for the daily review (PCI DSS 4.0.1 10.4.1.1).
 *
 *     npm run audit:report -- EXPORT [--key FILE] [--checkpoints NOTES] [--from TIME] [--to TIME] [--html PAGE]
 *
 * In a container the command is `node dist/commands/audit-report.js`. It needs no database and no network. EXPORT may be `-`
 * for standard input. With a key, the command proves the export as it reads, and prints no report if the export does
 * not hold. Without a key, the report says that nothing is proved. PAGE is one HTML file that needs no other file.
 *
 * Exit code 0: the report is printed; 1: the export does not hold; 2: the command could not run.
 */
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readNotes } from '../src/tlog/checkpoint-trail.js';
import { ExportError } from '../src/tlog/lines.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { renderHtml } from './audit-report/html-report.js';
import { reviewExport } from './audit-report/review-export.js';
import { buildReport } from './audit-report/report.js';
import { Review } from './audit-report/review.js';
import { renderText } from './audit-report/text-report.js';
import { findAuthenticatorName } from '../src/authenticators/authenticator-names.js';

const USAGE =
  'usage: npm run audit:report -- EXPORT|- [--key FILE] [--checkpoints NOTES] [--from RFC3339] [--to RFC3339] [--html PAGE]';
const CHUNK_BYTES = 2 ** 20;
const REFRESH_MS = 200;

interface ReportRequest {
  readonly path: string;
  readonly key: string | undefined;
  readonly checkpoints: string | undefined;
  readonly html: string | undefined;
  readonly period: { readonly from: number; readonly to: number };
}

function readRequest(): ReportRequest {
  const option = { type: 'string' } as const;
  const options = { key: option, checkpoints: option, from: option, to: option, html: option };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0) throw new Error('name one EXPORT');
  const { key, checkpoints, html } = values;
  if (checkpoints !== undefined && key === undefined) throw new Error('--checkpoints needs --key');
  const period = { from: parseTime('--from', values.from) ?? -Infinity, to: parseTime('--to', values.to) ?? Infinity };
  return { path, key, checkpoints, html, period };
}

function parseTime(name: string, text: string | undefined): number | undefined {
  const time = text === undefined ? undefined : Date.parse(text);
  if (Number.isNaN(time)) throw new Error(`${name} is not a time`);
  return time;
}

function openExport(path: string): AsyncIterable<Buffer> {
  if (path === '-') return process.stdin;
  statSync(path);
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

let shownAt = 0;
function showProgress(_bytes: number, lines: number): void {
  const now = performance.now();
  if (!process.stderr.isTTY || now - shownAt < REFRESH_MS) return;
  shownAt = now;
  process.stderr.write(`\r\x1b[K${lines.toLocaleString('en')} lines`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

async function printReport({ path, key, checkpoints, html, period }: ReportRequest): Promise<void> {
  const keys = key === undefined ? undefined : parseVerifierKeys(readFileSync(key, 'utf8'));
  const anchored = checkpoints === undefined ? undefined : readNotes(openExport(checkpoints));
  const review = new Review(period);
  const proved = await reviewExport(openExport(path), review, keys, { anchored, onProgress: showProgress });
  clearProgress();
  const file = path === '-' ? 'standard input' : path;
  const report = buildReport(review, { file, proved, modelName: findAuthenticatorName });
  process.stdout.write(renderText(report));
  if (html === undefined) return;
  writeFileSync(html, renderHtml(report));
  console.log(`\nThe page is in ${html}.`);
}

async function main(): Promise<number> {
  let request: ReportRequest | undefined;
  try {
    request = readRequest();
    await printReport(request);
    return 0;
  } catch (error) {
    clearProgress();
    const { message } = error as Error;
    if (error instanceof ExportError) {
      console.error(`${request?.path ?? 'The export'} does not hold: ${message}`);
      return 1;
    }
    console.error(`${message}\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
