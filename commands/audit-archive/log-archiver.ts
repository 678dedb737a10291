import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { timeOfId } from '../../src/audit/event-id.js';
import { ExportError } from '../../src/tlog/export-error.js';
import { rootAt } from '../../src/tlog/proofs.js';
import type { VerifierKey } from '../../src/tlog/verifier-key.js';
import { sameHash } from '../../src/tlog/verify-proof.js';
import { LogLines } from '../../src/audit-log/log-lines.js';
import { LogStorage } from '../../src/audit-log/log-storage.js';
import { ArchiveError } from './archive-error.js';
import { exists, type ProvedFile, proveFile, writeEvidence, writeWhole } from './archive-file.js';
import { type ClosedPartition, closedPartitions, type Extent, extentOf } from './closed-partitions.js';
import { dropArchived } from './drop-archived.js';

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
  readonly file: ProvedFile | undefined;
}

/**
 * Moves old months of the log out of the database. It writes a month to a file, verifies the file as it lies on the
 * disk, and only then deletes the rows. Leaves and stored hashes stay, so that old proofs hold and the log can still be
 * exported whole. If a run is interrupted, the next one continues and accepts a file that is whole.
 */
export class LogArchive {
  private readonly storage: LogStorage;
  private readonly log: LogLines;

  constructor(
    private readonly dataSource: DataSource,
    private readonly request: ArchiveRequest,
  ) {
    this.storage = new LogStorage(dataSource);
    this.log = new LogLines(dataSource, this.storage);
  }

  /** Lists what would be archived, without doing it. @throws ArchiveError */
  async *plan(): AsyncGenerator<ArchivedMonth> {
    const origin = this.origin();
    for (const partition of await closedPartitions(this.dataSource, this.request.before)) {
      const path = join(this.request.directory, `${origin.replaceAll('/', '-')}-${partition.months}.ndjson`);
      yield { partition, extent: await extentOf(this.dataSource, partition), path, file: undefined };
    }
  }

  /** Archives month by month, and yields each one when it is done. @throws ArchiveError */
  async *run(): AsyncGenerator<ArchivedMonth> {
    for await (const month of this.plan()) {
      const { partition, extent, path } = month;
      const file = (await exists(path)) ? await this.proveExisting(month) : await this.write(month);
      await writeEvidence(path, this.request.keys);
      const archived = { partition, extent, file: basename(path), digest: file.digest };
      await dropArchived(this.dataSource, { ...archived, treeSize: file.proved.checkpoint.size }, this.request.now);
      yield { ...month, file };
    }
  }

  /** Verifies the file of a run that was interrupted before it deleted the rows. */
  private async proveExisting(month: ArchivedMonth): Promise<ProvedFile> {
    try {
      return await this.prove(month, month.path);
    } catch (error) {
      if (!(error instanceof ExportError)) throw error;
      throw new ArchiveError(`${month.path} exists and does not verify (${error.message}): move it away`);
    }
  }

  private async write(month: ArchivedMonth): Promise<ProvedFile> {
    const checkpoint = await this.storage.latestCheckpoint();
    if (!checkpoint || checkpoint.size < month.extent.to) throw new ArchiveError('the log has no checkpoint yet');
    let file: ProvedFile | undefined;
    await writeWhole(
      month.path,
      this.counted(month, this.log.lines(month.extent, checkpoint, null)),
      async (partial) => {
        try {
          file = await this.prove(month, partial);
        } catch (error) {
          if (!(error instanceof ExportError)) throw error;
          throw new ArchiveError(`${month.partition.name} is not archived: its events do not verify: ${error.message}`);
        }
      },
    );
    return file!;
  }

  private async *counted(
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

  private async prove({ partition, extent }: ArchivedMonth, path: string): Promise<ProvedFile> {
    const leaves = extent.to - extent.from;
    const file = await proveFile(path, this.request.keys, extent, new Date(timeOfId(partition.lowerId)), (_, lines) => {
      this.request.onProgress?.('verifying', Math.min(lines, leaves), leaves);
    });
    await this.demandSameLog(path, file);
    return file;
  }

  /**
   * Refuses a file of another log. A file may come from a log that was signed with these keys and then cut or restored,
   * so its tree must be one of this log.
   */
  private async demandSameLog(path: string, { proved: { checkpoint } }: ProvedFile): Promise<void> {
    const latest = await this.storage.latestCheckpoint();
    const known = latest && checkpoint.size <= latest.size;
    if (known && sameHash(await rootAt(this.storage, checkpoint.size), checkpoint.root)) return;
    throw new ArchiveError(`${path} belongs to a log that this one does not continue: move it away`);
  }

  private origin(): string {
    const [key] = this.request.keys;
    if (!key) throw new ArchiveError('there is no verifier key');
    return key.name;
  }
}
