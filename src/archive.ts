import { ArchiveError } from './audit/archive/archive-error.js';
import { readArchiveCommand } from './audit/archive/archive-command.js';
import { withArchiveSession } from './audit/archive/archive-session.js';
import { LogArchive } from './audit/archive/log-archive.js';
import { failureText, monthText, showProgress } from './audit/archive/archive-report.js';
import { thinCheckpoints } from './audit/archive/thin-checkpoints.js';

/**
 * `npm run audit:archive -- --before 2026-01-01 --key audit.pub [--to DIRECTORY] [--dry-run]`, in a container
 * `node dist/src/archive.js`: moves whole months of the audit log out of the database of DATABASE_URL, as the role that
 * owns its schema, into files that are proved before the rows go. Ends with 1 where something keeps it from that; what
 * was done stays done, and the next run goes on.
 */
try {
  const url = process.env['DATABASE_URL'];
  if (!url) throw new ArchiveError('DATABASE_URL is not set: name the database, with the role that owns its schema.');
  const passwordFile = process.env['PASSKEY_DATABASE_PASSWORD_FILE'] || undefined;
  const { dryRun, ...request } = readArchiveCommand(process.argv.slice(2), new Date());
  await withArchiveSession(
    url,
    async (dataSource) => {
      const archive = new LogArchive(dataSource, { ...request, now: () => new Date(), onProgress: showProgress });
      let months = 0;
      for await (const month of dryRun ? archive.plan() : archive.run()) {
        months += 1;
        console.log(monthText(month));
      }
      if (months === 0) console.log('No month to archive.');
      const thinned = dryRun ? 0 : await thinCheckpoints(dataSource);
      if (thinned > 0)
        console.log(`${String(thinned)} checkpoints of archived months went; the last of each hour stays.`);
    },
    passwordFile,
  );
} catch (error) {
  console.error(failureText(error));
  process.exitCode = 1;
}
