/**
 * Verifies an export of credentials, without a database and without a network. `--help` describes the arguments. The verifier
 * is src/portability/export-verifier.ts; this file reads the arguments and writes what is verified.
 */
import { type VerifiedExport, verifyCredentialExport } from '../src/portability/export-verifier.js';
import { ExportError } from '../src/tlog/lines.js';
import { EXIT, openInput, type Program, ProgressLine, readArguments, reportUsage, UsageError } from './command-line.js';
import { readKeyFiles } from './key-files.js';

const PROGRAM = {
  command: 'npm run passkeys:verify-export --',
  imageCommand: 'node dist/commands/passkeys-verify-export.js',
  usage: ['EXPORT|- --key FILE…'],
  about:
    'Verifies that an export of passkeys is whole and as the service wrote it. It needs no database and no network.',
  operands: { EXPORT: 'The answer of GET /v1/credentials/export; - reads standard input.' },
  options: {
    key: {
      value: 'FILE',
      text: 'The verifier keys of the audit log, one a line (GET /v1/audit/key). Every one of them must have signed. If the keys were changed, give the option once for each file, the oldest first.',
      multiple: true,
    },
  },
  examples: ['passkeys.ndjson --key audit.pub'],
  exitCodes: {
    [EXIT.done]: 'It verifies, and the output says what it holds.',
    [EXIT.failed]: 'It does not verify, and the output names the line that does not.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or a file could not be read.',
  },
} as const satisfies Program;

const progress = new ProgressLine(200);

function format({ header, end, signed }: VerifiedExport): string {
  const signatures = signed.keys.map(({ name, keyId, algorithm }) => `${algorithm} (${name}+${keyId})`).join(' and ');
  const rows = [
    ['of', `${header.rpId}, by ${header.deployment}`],
    ['passkeys', String(end.count)],
    ['left out', end.leftOut === 0 ? 'none' : `${String(end.leftOut)} rows that failed their integrity check`],
    ['began', `${header.exportedAt}, as event ${header.exportId}`],
    ['signed', `${signed.time ? `${signed.time.toISOString().replace('.000Z', 'Z')}, ` : ''}by ${signatures}`],
    ['digest', end.digest],
  ];
  return rows.map(([name, text]) => `  ${name!.padEnd(9)}${text!}\n`).join('');
}

const given = readArguments(PROGRAM);
const [path] = given.operands;
try {
  if (path === undefined || given.values.key.length === 0) throw new UsageError('Give one EXPORT and a --key.');
  const { keys, former } = readKeyFiles(given.values.key);
  const onProgress = (bytes: number, lines: number): void => {
    progress.show(() => `${(bytes / 1e6).toFixed(0)} MB, ${lines.toLocaleString('en')} lines`);
  };
  const verified = await verifyCredentialExport(openInput(path), keys, { former, onProgress });
  progress.clear();
  console.log(`${path} verifies:\n${format(verified)}`);
} catch (error) {
  progress.clear();
  const { message } = error as Error;
  if (error instanceof ExportError) {
    console.error(`${path ?? 'The export'} does not verify: ${message}`);
    process.exitCode = EXIT.failed;
  } else {
    reportUsage(PROGRAM, message);
    process.exitCode = EXIT.couldNotRun;
  }
}
