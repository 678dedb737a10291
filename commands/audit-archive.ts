import { ArchiveError } from './audit-archive/archive-error.js';
import { readArchiveCommand } from './audit-archive/archive-command.js';
import { runInArchiveSession } from './audit-archive/archive-session.js';
import { LogArchiver } from './audit-archive/log-archiver.js';
import { describeFailure, describeMonth, showProgress } from './audit-archive/archive-report.js';
import { thinCheckpoints } from './audit-archive/thin-checkpoints.js';

/**
 * Moves whole months of the audit log out of the database of DATABASE_URL into files, as the role that owns the schema.
 * Each file is proved before its rows are deleted. In a container the command is `node dist/commands/audit-archive.js`.
 *
 *     npm run audit:archive -- --before 2026-01-01 --key audit.pub [--to DIRECTORY] [--dry-run]
 *
 * The exit code is 1 if the command could not finish. Months that it has archived stay archived, and the next run
 * continues.
 */
try {
  const url = process.env['DATABASE_URL'];
  if (!url) throw new ArchiveError('DATABASE_URL is not set: name the database, with the role that owns its schema.');
  const passwordFile = process.env['PASSKEY_DATABASE_PASSWORD_FILE'] || undefined;
  const { dryRun, ...request } = readArchiveCommand(process.argv.slice(2), new Date());
  await runInArchiveSession(
    url,
    async (dataSource) => {
      const archive = new LogArchiver(dataSource, { ...request, now: () => new Date(), onProgress: showProgress });
      let months = 0;
      for await (const month of dryRun ? archive.plan() : archive.run()) {
        months += 1;
        console.log(describeMonth(month));
      }
      if (months === 0) console.log('No month to archive.');
      const thinned = dryRun ? 0 : await thinCheckpoints(dataSource);
      if (thinned > 0)
        console.log(`${String(thinned)} checkpoints of archived months were deleted; the last one of each hour stays.`);
    },
    passwordFile,
  );
} catch (error) {
  console.error(describeFailure(error));
  process.exitCode = 1;
}
