/**
 * Moves whole months of the audit log out of the database into files, as the role that owns the schema. `--help` describes
 * the arguments.
 *
 * archive-command.ts reads the arguments and describes the results, audit-archive/archive-session.ts lets one session at a
 * time archive, and log-archiver.ts takes month by month: closed-partitions.ts finds and drops the month, archive-file.ts
 * writes and proves its file. At the end thin-checkpoints.ts deletes the checkpoints that nobody needs any more.
 */
import {
  describeFailure,
  describeMonth,
  PROGRAM,
  readArchiveCommand,
  showProgress,
  progress,
} from './archive-command.js';
import { runInArchiveSession } from './audit-archive/archive-session.js';
import { LogArchiver } from './audit-archive/log-archiver.js';
import { thinCheckpoints } from './audit-archive/thin-checkpoints.js';
import { EXIT, readArguments, reportUsage, UsageError } from './command-line.js';

const given = readArguments(PROGRAM);
let hasBegun = false;
try {
  const { url, passwordFile, dryRun, ...request } = readArchiveCommand(given.values, process.env, new Date());
  hasBegun = true;
  await runInArchiveSession(
    url,
    async (dataSource) => {
      const archive = new LogArchiver(dataSource, { ...request, now: () => new Date(), onProgress: showProgress });
      let months = 0;
      for await (const month of dryRun ? archive.plan() : archive.run()) {
        months += 1;
        progress.clear();
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
  progress.clear();
  if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
  else console.error(describeFailure(error));
  process.exitCode = hasBegun ? EXIT.failed : EXIT.couldNotRun;
}
