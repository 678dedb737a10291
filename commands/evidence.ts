/**
 * Writes what an assessor asks for into a directory with a signed index, and verifies such a directory. `--help` describes the
 * arguments, docs/evidence.md the files.
 *
 * evidence/collect.ts collects the parts and writes them, and a file beside it makes each part. evidence/signed-index.ts signs and
 * verifies a directory. This file reads the arguments, opens the database, and says how it ended.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AuditCheckpointEntity } from '../src/audit-log/log.entities.js';
import { findEmbeddedPostgres, prepareDevelopment, startEmbeddedPostgres } from '../src/app/development-files.js';
import { type Config, ConfigError, readConfig } from '../src/config/config.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { openToRead } from './database-login.js';
import { collectEvidence, writeEvidence } from './evidence/collect.js';
import { listFaults } from './evidence/overview.js';
import { isMade, type Part } from './evidence/part.js';
import { IndexError, SUMS, verifyDirectory } from './evidence/signed-index.js';
import { readKeyFiles } from './key-files.js';

const PROGRAM = {
  command: 'npm run evidence --',
  imageCommand: 'node dist/commands/evidence.js',
  usage: [
    '--out DIR [--results FILE]… [--checkpoints NOTES]… [--since RFC3339] [--key FILE]… [--reviews DIR] [--drill FILE]… [--calm-schemas DIR]',
    '--verify DIR --key FILE…',
  ],
  about:
    'Writes what an assessor asks for: the architecture (CALM), bills of software and cryptography (CycloneDX), the access matrix with last uses, the requirements with their tests, ages of keys and certificates, clocks, the verified audit log, reviews and restores. An index has the SHA-256 of each file, and the keys of the audit log sign it. It runs with the settings of the service, where its files are, and changes nothing. With --verify it verifies such a directory, without a database and without a network.',
  options: {
    out: { value: 'DIR', text: 'The directory to write, which must not exist or be empty.' },
    results: {
      value: 'FILE',
      text: 'Results of tests: npm test -- --json --outputFile=FILE, and the same of npm run test:long. Give the option once for each file.',
      multiple: true,
    },
    checkpoints: {
      value: 'NOTES',
      text: 'Checkpoints that were kept outside, against which the log is held, besides PASSKEY_AUDIT_ANCHOR_FILE. Give the option once for each file.',
      multiple: true,
    },
    since: {
      value: 'RFC3339',
      text: 'A time, such as that of the last assessment: the log is read from then on. Without it, all of it is.',
    },
    reviews: { value: 'DIR', text: 'The directory where reviewers keep the reports of npm run audit:report.' },
    drill: {
      value: 'FILE',
      text: 'The output of npm run drill or npm run continuity. Give the option once for each file.',
      multiple: true,
    },
    'calm-schemas': {
      value: 'DIR',
      text: 'The meta-schemas of CALM, calm/release/1.2/meta of FINOS, to validate the architecture against.',
    },
    verify: { value: 'DIR', text: 'A directory of evidence to verify.' },
    key: {
      value: 'FILE',
      text: 'The verifier keys of the audit log, one a line (GET /v1/audit/key). --verify needs them, from elsewhere than DIR. --out needs them if the keys were changed more than once and checkpoints were kept outside. If the keys were changed, give the option once for each file, the oldest first.',
      multiple: true,
    },
  },
  environment: {
    'PASSKEY_…': 'The settings of the service; docs/runbook.md lists them.',
    DATABASE_URL:
      'The database. The role passkey_auditor is enough. In development, without it, the embedded one, also while a service uses that.',
  },
  examples: [
    '--out evidence',
    '--out evidence --results test.json --results long.json --reviews reports --drill drill.txt',
    '--verify evidence --key audit.pub',
  ],
  exitCodes: {
    [EXIT.done]: 'The evidence is written, or it verifies.',
    [EXIT.failed]:
      'The evidence is written, and the output names what does not hold, such as the log, and each part that is missing; or it does not verify, and the output names each file that is altered, missing or added.',
    [EXIT.couldNotRun]:
      'The arguments or the settings are wrong, or a file or the database could not be read. Nothing is written.',
  },
} as const satisfies Program;

const progress = new ProgressLine(100);

async function write(out: string, { values }: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  demandEmpty(out);
  const config = readConfig(process.env);
  for (const sentence of config.unknownSettings) console.error(sentence);
  if (!config.production) await prepareDevelopment(config.dataDir);
  const { url, role, stop } = await openDatabase(config);
  try {
    const login = { url, passwordFile: config.databasePasswordFile };
    const dataSource = await openToRead(login, [AuditCheckpointEntity], role);
    try {
      const given = {
        keys: values.key.length > 0 ? readKeyFiles(values.key) : undefined,
        checkpoints: values.checkpoints,
        since: parseTime(values.since),
        results: values.results,
        reviews: values.reviews,
        drills: values.drill,
        calmSchemas: values['calm-schemas'],
      };
      const collected = await collectEvidence(config, dataSource, given, findRoot(), new Date(), (step) => {
        progress.show(step);
      });
      await writeEvidence(collected, out);
      progress.clear();
      return report(out, collected.parts);
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await stop();
  }
}

/** @throws UsageError */
function parseTime(text: string | undefined): Date | undefined {
  const time = text === undefined ? undefined : new Date(text);
  if (Number.isNaN(time?.getTime())) throw new UsageError('--since is not a time.');
  return time;
}

/** Refuses a directory that has something in it. @throws UsageError */
function demandEmpty(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isDirectory()) throw new UsageError(`${directory} is a file.`);
  if (readdirSync(directory).length > 0)
    throw new UsageError(`${directory} is not empty: evidence goes into a directory of its own.`);
}

function report(out: string, parts: readonly Part[]): ExitCode {
  const [faults, open] = [listFaults(parts), parts.flatMap((part) => part.open)];
  const made = parts.filter(isMade).length;
  const count = made === parts.length ? String(made) : `${String(made)} of ${String(parts.length)}`;
  console.log(`${out} has ${count} parts, and ${String(open.length)} open questions: begin at README.md.`);
  for (const fault of faults) console.error(fault);
  return faults.length === 0 ? EXIT.done : EXIT.failed;
}

interface OpenDatabase {
  readonly url: string;
  /** The role whose rights suffice; undefined: that of the URL. */
  readonly role?: string;
  readonly stop: () => Promise<void>;
}

/** The embedded database of a running service is read beside it; else it is started for this run, as a start of the service does. */
async function openDatabase({ databaseUrl, dataDir }: Config): Promise<OpenDatabase> {
  const stop = (): Promise<void> => Promise.resolve();
  if (databaseUrl !== undefined) return { url: databaseUrl, stop };
  const running = await findEmbeddedPostgres(dataDir);
  if (running !== undefined) return { url: running, role: 'passkey_auditor', stop };
  const embedded = await startEmbeddedPostgres(dataDir);
  return { url: embedded.url, stop: () => embedded.stop() };
}

/** Finds the directory of the project, above the build. */
function findRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory)
    directory = dirname(directory);
  return directory;
}

async function verify(directory: string, keyFiles: readonly string[]): Promise<ExitCode> {
  const { files, signed } = await verifyDirectory(directory, readKeyFiles(keyFiles));
  const keys = signed.keys.map(({ name, keyId, algorithm }) => `${algorithm} (${name}+${keyId})`).join(' and ');
  console.log(
    `${directory} verifies: ${String(files.length)} files are as ${SUMS} lists them.\n  signed   ${signed.time ? `${signed.time.toISOString()}, ` : ''}by ${keys}`,
  );
  return EXIT.done;
}

function run(given: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  const { out, verify: directory, key } = given.values;
  if ((out === undefined) === (directory === undefined)) throw new UsageError('Give --out or --verify.');
  if (directory !== undefined) {
    if (key.length === 0) throw new UsageError('--verify needs --key.');
    return verify(directory, key);
  }
  return write(out!, given);
}

const given = readArguments(PROGRAM);
try {
  process.exitCode = await run(given);
} catch (error) {
  progress.clear();
  if (error instanceof IndexError) {
    console.error(
      `${given.values.verify ?? 'The directory'} does not verify:\n${error.findings.map((each) => `  ${each}`).join('\n')}`,
    );
    process.exitCode = EXIT.failed;
  } else {
    if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
    else console.error(error instanceof ConfigError ? error.message : describeProgramFailure(error));
    process.exitCode = EXIT.couldNotRun;
  }
}
