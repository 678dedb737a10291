/**
 * Holds the rows of the database against the audit log, all at once. `--help` describes the arguments.
 *
 * reconcile/exported-events.ts reads exports, which have the events that left the database or never came back to it.
 * reconcile/reconcile-database.ts walks through the database with src/reconciliation, as the service does in the
 * background. This file reads the arguments and prints what is found.
 */
import type { DataSource } from 'typeorm';
import { AuditArchiveEntity, AuditCheckpointEntity } from '../src/audit-log/log.entities.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import type { Finding } from '../src/reconciliation/judge-rows.js';
import type { ProvedExport } from '../src/tlog/export-verifier.js';
import { ExportError } from '../src/tlog/lines.js';
import {
  type Arguments,
  EXIT,
  openInput,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { describeLogin, openToRead, READER, readLogin } from './database-login.js';
import { KEY_TEXT, type KeyFiles, readKeyFiles } from './key-files.js';
import { ExportedEvents } from './reconcile/exported-events.js';
import { reconcileDatabase } from './reconcile/reconcile-database.js';

const PROGRAM = {
  command: 'npm run reconcile --',
  imageCommand: 'node dist/commands/reconcile.js',
  usage: ['[--export FILE… --key FILE…] [--json]'],
  about:
    'Holds the rows of the database against the audit log: credentials, users and relying parties. It names rows that somebody put back, made up or deleted. With exports it also counts events that are not in the database, so it names what a restored backup brought back and what it lacks. It changes nothing, and the service may run meanwhile. It takes about 600 bytes of memory for each credential in the exports.',
  options: {
    export: {
      value: 'FILE',
      text: 'An export of the log (GET /v1/audit/export) or the file of an archived month. Give the option once for each file. Every file must verify.',
      multiple: true,
    },
    key: { value: 'FILE', text: KEY_TEXT, multiple: true },
    json: { text: 'Prints each finding as a line of JSON, and then the summary.' },
  },
  environment: describeLogin(READER),
  examples: ['', '--export export.ndjson --key audit.pub'],
  exitCodes: {
    [EXIT.done]: 'No row contradicts the log.',
    [EXIT.failed]: 'The output names the rows that do.',
    [EXIT.couldNotRun]: 'The arguments are wrong, an export does not verify, or the database could not be read.',
  },
} as const satisfies Program;

/** The outcome of a run. */
interface Summary {
  /** Rows and events that were read from the database. */
  readonly walked: number;
  readonly findings: number;
  /** Events before this time may be missing from the database and the exports, so findings may be, too. */
  readonly completeSince: string | undefined;
}

const progress = new ProgressLine(200);

async function reconcile({ values }: Arguments<typeof PROGRAM.options>): Promise<Summary> {
  const login = readLogin(process.env, READER);
  if (values.export.length > 0 !== values.key.length > 0) throw new UsageError('Give --export and --key together.');
  const dataSource = await openToRead(login, [AuditArchiveEntity, AuditCheckpointEntity]);
  try {
    const archives = await dataSource.getRepository(AuditArchiveEntity).find();
    const exported = new ExportedEvents();
    if (values.export.length > 0) await readExports(dataSource, exported, values);
    exported.settle(archives);
    let [walked, findings] = [0, 0];
    const found = reconcileDatabase(dataSource, exported, (phase, count) => {
      walked = count;
      progress.show(() => `${phase}: ${count.toLocaleString('en')} rows and events`);
    });
    for await (const finding of found) {
      findings += 1;
      progress.clear();
      console.log(values.json ? JSON.stringify(finding) : formatFinding(finding));
    }
    const since = exported.completeSince;
    return { walked, findings, completeSince: since === -Infinity ? undefined : new Date(since).toISOString() };
  } finally {
    await dataSource.destroy();
  }
}

/** @throws ExportError, UsageError if an export is of another log */
async function readExports(
  dataSource: DataSource,
  exported: ExportedEvents,
  { export: paths, key }: Pick<Arguments<typeof PROGRAM.options>['values'], 'export' | 'key'>,
): Promise<void> {
  const keys = readKeyFiles(key);
  const [latest] = await dataSource.getRepository(AuditCheckpointEntity).find({ order: { size: 'DESC' }, take: 1 });
  const origin = latest?.note.split('\n', 1)[0];
  for (const path of paths) {
    const { checkpoint } = await readExport(exported, path, keys);
    if (origin !== undefined && checkpoint.origin !== origin) {
      throw new UsageError(`${path} is of the log ${checkpoint.origin}, and the database has the log ${origin}.`);
    }
  }
}

/** @throws ExportError that names the file */
async function readExport(exported: ExportedEvents, path: string, keys: KeyFiles): Promise<ProvedExport> {
  try {
    return await exported.read(openInput(path), keys.keys, keys.former, (lines) => {
      progress.show(() => `${path}: ${lines.toLocaleString('en')} lines`);
    });
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    throw new ExportError(`${path} does not verify: ${error.message}`);
  }
}

function formatFinding({ kind, table, subject, rpId, userId, row, log, event }: Finding): string {
  const of = [
    rpId !== undefined && rpId !== subject ? ` of ${rpId}` : '',
    userId === undefined ? '' : `, user ${userId}`,
  ];
  const by = event === undefined ? '' : ` (event ${event})`;
  return `${kind}: ${table} ${subject}${of.join('')}: ${row}; the log says: ${log}${by}`;
}

function formatSummary({ walked, findings, completeSince }: Summary): string {
  const found =
    findings === 1 ? '1 row contradicts the log' : `${findings.toLocaleString('en')} rows contradict the log`;
  const reach =
    completeSince === undefined
      ? 'The history is complete.'
      : `Events before ${completeSince} may be missing: give the files of all archived months by --export.`;
  return `${found}; ${walked.toLocaleString('en')} rows and events were held against each other. ${reach}`;
}

const given = readArguments(PROGRAM);
try {
  const summary = await reconcile(given);
  progress.clear();
  console.log(given.values.json ? JSON.stringify({ summary }) : formatSummary(summary));
  process.exitCode = summary.findings === 0 ? EXIT.done : EXIT.failed;
} catch (error) {
  progress.clear();
  if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
  else console.error(describeProgramFailure(error));
  process.exitCode = EXIT.couldNotRun;
}
