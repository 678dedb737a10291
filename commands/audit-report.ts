/**
 * Reports what happened, from an export of the audit log, for the daily review (PCI DSS 4.0.1 10.4.1.1). `--help` describes
 * the arguments.
 *
 * An export comes into report-export.ts. audit-report/review.ts counts its events while src/tlog verifies the same bytes,
 * audit-report/report.ts makes the report from the counts, and text-report.ts and html-report.ts show it.
 */
import { EXIT, readArguments, reportUsage } from './command-line.js';
import { REPORT, reportExport } from './report-export.js';

const given = readArguments(REPORT);
try {
  process.exitCode = await reportExport(given);
} catch (error) {
  reportUsage(REPORT, (error as Error).message);
  process.exitCode = EXIT.couldNotRun;
}
