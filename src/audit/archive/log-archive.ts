import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { timeOfId } from '../event-id.js';
import { ExportError } from '../log/export-error.js';
import { rootAt } from '../log/proofs.js';
import type { VerifierKey } from '../log/verifier-key.js';
import { sameHash } from '../log/verify-proof.js';
import { LogLines } from '../log-lines.js';
import { LogStorage } from '../log-storage.js';
import { ArchiveError } from './archive-error.js';
import { exists, type ProvedFile, proveFile, writeEvidence, writeWhole } from './archive-file.js';
import { type ClosedPartition, closedPartitions, type Extent, extentOf } from './closed-partitions.js';
import { dropArchived } from './drop-archived.js';

export interface ArchiveRequest {
  /** Whole months before. */
  readonly before: Date;
  readonly directory: string;
  /** All of which must have signed the log's checkpoint. */
  readonly keys: readonly VerifierKey[];
  readonly now: () => Date;
  readonly onProgress?: (step: 'writing' | 'verifying', leaves: number, of: number) => void;
}

/** A month that is to leave the database, or has. */
export interface ArchivedMonth {
  readonly partition: ClosedPartition;
  readonly extent: Extent;
  readonly path: string;
  /** undefined: nothing was done yet. */
  readonly file: ProvedFile | undefined;
}

/**
 * Moves old months of the log out of the database. A month is written to a file, the file is proved as it lies on the
 * disk, and only then the rows go; leaves and stored hashes stay, so that old proofs hold and the log can still be
 * exported whole. Whatever ends this on the way, the next run goes on: it takes a file that is whole for what it is.
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

  /** What would be archived, without doing it. @throws ArchiveError */
  async *plan(): AsyncGenerator<ArchivedMonth> {
    const origin = this.origin();
    for (const partition of await closedPartitions(this.dataSource, this.request.before)) {
      const path = join(this.request.directory, `${origin.replaceAll('/', '-')}-${partition.months}.ndjson`);
      yield { partition, extent: await extentOf(this.dataSource, partition), path, file: undefined };
    }
  }

  /** Archives month by month, and tells of each when it is done. @throws ArchiveError */
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

  /** Of a run that was ended before its rows went. */
  private async proveExisting(month: ArchivedMonth): Promise<ProvedFile> {
    try {
      return await this.prove(month, month.path);
    } catch (error) {
      if (!(error instanceof ExportError)) throw error;
      throw new ArchiveError(`${month.path} is there already and does not hold (${error.message}): move it away`);
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
          throw new ArchiveError(
            `${month.partition.name} stays: what was read from it does not hold: ${error.message}`,
          );
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

  /** A file may be of a log that was signed with these keys, and then cut or restored: its tree must be one of this log. */
  private async demandSameLog(path: string, { proved: { checkpoint } }: ProvedFile): Promise<void> {
    const latest = await this.storage.latestCheckpoint();
    const known = latest && checkpoint.size <= latest.size;
    if (known && sameHash(await rootAt(this.storage, checkpoint.size), checkpoint.root)) return;
    throw new ArchiveError(`${path} is of a log that this one does not continue: move it away`);
  }

  private origin(): string {
    const [key] = this.request.keys;
    if (!key) throw new ArchiveError('there is no verifier key');
    return key.name;
  }
}
