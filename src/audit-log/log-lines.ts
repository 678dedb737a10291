import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { formatErased, formatEvent, formatMissing, formatProof } from '../tlog/export-lines.js';
import { makeRangeProof } from '../tlog/proofs.js';
import { TILE_HEIGHT } from '../tlog/tiles.js';
import { LogStorage } from './log-storage.js';

interface ExportedLeaf {
  readonly leaf_index: number;
  readonly leaf_hash: Buffer;
  readonly event_id: string;
  /** null if the event is archived or missing. */
  readonly event: string | null;
  readonly archived: boolean;
  readonly rp_id: string | null;
  /** Stored hash of 256 leaves, at the last one of them. */
  readonly subtree: Buffer | null;
}

/** Leaves [from, to). */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

const PAGE = 500;
const TILE = 2 ** TILE_HEIGHT;

/**
 * Formats the log as NDJSON in leaf order. The last line proves that the range is complete. Each page is read by a
 * statement of its own, so memory does not grow with the log and no open transaction holds up vacuum.
 */
@Injectable()
export class LogLines {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly storage: LogStorage,
  ) {}

  /**
   * Yields the export of a range against a checkpoint, page by page.
   *
   * @param relyingParties relying parties whose events are shown; null for all
   */
  async *formatRange(
    { from, to }: LeafRange,
    { size, note }: { size: number; note: string },
    relyingParties: readonly string[] | null,
  ): AsyncGenerator<Buffer> {
    for (let next = from; next < to; next += PAGE) {
      const leaves = await this.readPage(next, Math.min(next + PAGE, to));
      yield Buffer.from(leaves.map((leaf) => formatLine(leaf, from, relyingParties)).join(''));
    }
    const { left, right } = await makeRangeProof(this.storage, from, to, size);
    yield Buffer.from(formatProof({ treeSize: size, from, to, left, right, checkpoint: note }));
  }

  private readPage(from: number, to: number): Promise<ExportedLeaf[]> {
    return this.dataSource.query<ExportedLeaf[]>(
      `SELECT leaf_index, audit_leaf.leaf_hash, event_id, event, rp_id, node.hash AS subtree,
              event IS NULL AND EXISTS (SELECT FROM audit_archive WHERE event_id >= lower_id AND event_id < upper_id) AS archived
         FROM audit_leaf
         LEFT JOIN audit_event ON audit_event.id = event_id
         LEFT JOIN audit_node node ON level = ${String(TILE_HEIGHT)} AND leaf_index % ${String(TILE)} = ${String(TILE - 1)}
                                  AND node.index = leaf_index / ${String(TILE)}
        WHERE leaf_index >= $1 AND leaf_index < $2
        ORDER BY leaf_index`,
      [from, to],
    );
  }
}

/**
 * Hides the content of another relying party's event but keeps its leaf, so that the range can be proved. The last of
 * 256 leaves carries their hash if all of them are in the range.
 */
function formatLine(leaf: ExportedLeaf, from: number, relyingParties: readonly string[] | null): string {
  const complete = leaf.leaf_index % TILE === TILE - 1 && leaf.leaf_index - from >= TILE - 1;
  const subtree = (complete && leaf.subtree) || undefined;
  const stored = { leafHash: leaf.leaf_hash, subtree, subtreeMissing: complete && !subtree };
  if (leaf.event === null) {
    return (leaf.archived ? formatErased : formatMissing)(leaf.leaf_index, stored, leaf.event_id);
  }
  const visible = relyingParties === null || (leaf.rp_id !== null && relyingParties.includes(leaf.rp_id));
  return visible ? formatEvent(leaf.leaf_index, leaf.event, stored) : formatErased(leaf.leaf_index, stored);
}
