import { Injectable } from '@nestjs/common';
import { formatErased, formatEvent, formatMissing, formatProof } from '../tlog/export-lines.js';
import { makeRangeProof } from '../tlog/proofs.js';
import { TILE_HEIGHT } from '../tlog/tiles.js';
import { type LeafRange, LogRepository, type ExportedLeaf } from './log.repository.js';

const PAGE = 500;
const TILE = 2 ** TILE_HEIGHT;

/**
 * Formats the log as NDJSON in leaf order. The last line proves that the range is complete. Each page is read by a
 * statement of its own, so memory does not grow with the log and no open transaction holds up vacuum.
 */
@Injectable()
export class LogLines {
  constructor(private readonly storage: LogRepository) {}

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
      const leaves = await this.storage.readLeaves(next, Math.min(next + PAGE, to));
      yield Buffer.from(leaves.map((leaf) => formatLine(leaf, from, relyingParties)).join(''));
    }
    const { left, right } = await makeRangeProof(this.storage, from, to, size);
    yield Buffer.from(formatProof({ treeSize: size, from, to, left, right, checkpoint: note }));
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
