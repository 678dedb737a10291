import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { parseIdTime } from '../../src/audit/audit-event.repository.js';
import { ExportError } from '../../src/tlog/lines.js';
import { isSameHash, readRoot } from '../../src/tlog/proofs.js';
import type { VerifierKey } from '../../src/tlog/keys.js';
import { LogLines } from '../../src/audit-log/log-lines.js';
import { LogRepository } from '../../src/audit-log/log.repository.js';
import { isExistingFile, type VerifiedFile, verifyFile, writeEvidence, writeFileAtomically } from './archive-file.js';
import {
  ArchiveError,
  type ClosedPartition,
  dropArchived,
  type Extent,
  listClosedPartitions,
  measureExtent,
} from './closed-partitions.js';

export interface ArchiveRequest {
  /** Months that end before this time are archived. */
  readonly before: Date;
  readonly directory: string;
  /** All of these keys must have signed the log's checkpoint. */
  readonly keys: readonly VerifierKey[];
  readonly now: () => Date;
  readonly onProgress?: (step: 'writing' | 'verifying', leaves: number, of: number) => void;
}

/** A month that was archived or is to be. */
export interface ArchivedMonth {
  readonly partition: ClosedPartition;
  readonly extent: Extent;
  readonly path: string;
  /** undefined if nothing was done yet. */
  readonly file: VerifiedFile | undefined;
}

/**
 * Moves old months of the log out of the database. It writes a month to a file, verifies the file as it lies on the
 * disk, and only then deletes the rows. Leaves and stored hashes stay, so that old proofs verify and the log can still be
 * exported whole. If a run is interrupted, the next one continues and accepts a file that is whole.
 */
export class LogArchiver {
  private readonly storage: LogRepository;
  private readonly log: LogLines;

  constructor(
    private readonly dataSource: DataSource,
    private readonly request: ArchiveRequest,
  ) {
    this.storage = new LogRepository(dataSource);
    this.log = new LogLines(this.storage);
  }

  /** Lists what would be archived, without doing it. @throws ArchiveError */
  async *plan(): AsyncGenerator<ArchivedMonth> {
    const origin = this.getOrigin();
    for (const partition of await listClosedPartitions(this.dataSource, this.request.before)) {
      const path = join(this.request.directory, `${origin.replaceAll('/', '-')}-${partition.months}.ndjson`);
      yield { partition, extent: await measureExtent(this.dataSource, partition), path, file: undefined };
    }
  }

  /** Archives month by month, and yields each one when it is done. @throws ArchiveError */
  async *run(): AsyncGenerator<ArchivedMonth> {
    for await (const month of this.plan()) {
      const { partition, extent, path } = month;
      const file = (await isExistingFile(path)) ? await this.verifyExisting(month) : await this.writeMonth(month);
      await writeEvidence(path, this.request.keys);
      const archived = { partition, extent, file: basename(path), digest: file.digest };
      await dropArchived(this.dataSource, { ...archived, treeSize: file.proved.checkpoint.size }, this.request.now);
      yield { ...month, file };
    }
  }

  /** Verifies the file of a run that was interrupted before it deleted the rows. */
  private async verifyExisting(month: ArchivedMonth): Promise<VerifiedFile> {
    try {
      return await this.verifyMonth(month, month.path);
    } catch (error) {
      if (!(error instanceof ExportError)) throw error;
      throw new ArchiveError(`${month.path} exists and does not verify (${error.message}): move it away`);
    }
  }

  private async writeMonth(month: ArchivedMonth): Promise<VerifiedFile> {
    const checkpoint = await this.storage.findLatestCheckpoint();
    if (!checkpoint || checkpoint.size < month.extent.to) throw new ArchiveError('the log has no checkpoint yet');
    let file: VerifiedFile | undefined;
    await writeFileAtomically(
      month.path,
      this.reportLeaves(month, this.log.formatRange(month.extent, checkpoint, null)),
      async (partial) => {
        try {
          file = await this.verifyMonth(month, partial);
        } catch (error) {
          if (!(error instanceof ExportError)) throw error;
          throw new ArchiveError(`${month.partition.name} is not archived: its events do not verify: ${error.message}`);
        }
      },
    );
    return file!;
  }

  private async *reportLeaves(
    { extent: { from, to } }: ArchivedMonth,
    pages: AsyncIterable<Buffer>,
  ): AsyncGenerator<Buffer> {
    let leaves = 0;
    for await (const page of pages) {
      for (let end = page.indexOf(10); end !== -1; end = page.indexOf(10, end + 1)) leaves += 1;
      this.request.onProgress?.('writing', Math.min(leaves, to - from), to - from);
      yield page;
    }
  }

  private async verifyMonth({ partition, extent }: ArchivedMonth, path: string): Promise<VerifiedFile> {
    const leaves = extent.to - extent.from;
    const file = await verifyFile(
      path,
      this.request.keys,
      extent,
      new Date(parseIdTime(partition.lowerId)),
      (_, lines) => {
        this.request.onProgress?.('verifying', Math.min(lines, leaves), leaves);
      },
    );
    await this.demandSameLog(path, file);
    return file;
  }

  /**
   * Refuses a file of another log. A file may come from a log that was signed with these keys and then cut or restored,
   * so its tree must be one of this log.
   */
  private async demandSameLog(path: string, { proved: { checkpoint } }: VerifiedFile): Promise<void> {
    const latest = await this.storage.findLatestCheckpoint();
    const known = latest && checkpoint.size <= latest.size;
    if (known && isSameHash(await readRoot(this.storage, checkpoint.size), checkpoint.root)) return;
    throw new ArchiveError(`${path} belongs to a log that this one does not continue: move it away`);
  }

  private getOrigin(): string {
    const [key] = this.request.keys;
    if (!key) throw new ArchiveError('there is no verifier key');
    return key.name;
  }
}
