/**
 * Proves an export of the audit log, or one event of it, without a database and without a network. `--help` describes the
 * arguments, and verify-export.ts does the work.
 */
import { EXIT, readArguments, reportUsage } from './command-line.js';
import { VERIFY, verifyExportFile } from './verify-export.js';

const given = readArguments(VERIFY);
try {
  process.exitCode = await verifyExportFile(given);
} catch (error) {
  reportUsage(VERIFY, (error as Error).message);
  process.exitCode = EXIT.couldNotRun;
}
