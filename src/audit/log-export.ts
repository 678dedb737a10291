import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { AuthorizedContext } from '../identity/request-context.js';
import { AuditService } from './audit.service.js';
import { firstIdAt } from './event-id.js';
import { formatErased, formatEvent, formatProof } from './log/export-lines.js';
import { rangeProof } from './log/proofs.js';
import { TILE_HEIGHT } from './log/stored-hashes.js';
import { LogProofs } from './log-proofs.js';
import { LogStorage } from './log-storage.js';

interface ExportedLeaf {
  readonly leaf_index: number;
  readonly leaf_hash: Buffer;
  readonly event_id: string;
  /** null: past its retention. */
  readonly event: string | null;
  readonly rp_id: string | null;
  /** Of the last of 256 leaves: the hash that is stored of them. */
  readonly subtree: Buffer | null;
}

/** Leaves [from, to). */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

const PAGE = 500;
const TILE = 2 ** TILE_HEIGHT;
/** By how much the log's order may differ from that of the events' times. */
const DISORDER_MS = 600_000;

/**
 * Exports the log as NDJSON, in its order, with the proof that the range is complete as the last line. It is read page by
 * page, each in a statement of its own: memory does not grow with the log, and no open transaction holds the sequencer.
 */
@Injectable()
export class LogExport {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly storage: LogStorage,
    private readonly proofs: LogProofs,
    private readonly audit: AuditService,
  ) {}

  /** Recorded before the first line goes out. */
  async open(context: AuthorizedContext, filter: { from?: string; to?: string }): Promise<Readable> {
    const { size, note } = await this.proofs.checkpoint();
    const range = await this.rangeOf(filter, size);
    const facts = { filter, leaves: range, tree_size: size };
    await this.audit.record(context, { type: 'audit.export', outcome: 'success', facts });
    return Readable.from(this.lines(range, { size, note }, context.relyingParties), { objectMode: false });
  }

  /** The export of a range against a checkpoint, page by page. @param relyingParties null: all; others' events stay closed */
  async *lines(
    { from, to }: LeafRange,
    { size, note }: { size: number; note: string },
    relyingParties: readonly string[] | null,
  ): AsyncGenerator<Buffer> {
    for (let next = from; next < to; next += PAGE) {
      const leaves = await this.page(next, Math.min(next + PAGE, to));
      yield Buffer.from(leaves.map((leaf) => lineOf(leaf, relyingParties)).join(''));
    }
    const { left, right } = await rangeProof(this.storage, from, to, size);
    yield Buffer.from(formatProof({ treeSize: size, from, to, left, right, checkpoint: note }));
  }

  /** Times take in every event of theirs, and perhaps some that stand between them in the log. */
  private async rangeOf({ from, to }: { from?: string; to?: string }, size: number): Promise<LeafRange> {
    const end = to === undefined ? size : Math.min(size, await this.endBefore(Date.parse(to)));
    const begin = from === undefined ? 0 : await this.beginFrom(Date.parse(from), size);
    return { from: Math.min(begin, end), to: end };
  }

  private async beginFrom(time: number, size: number): Promise<number> {
    const [row] = await this.dataSource.query<{ first: number | null }[]>(
      `SELECT min(leaf_index) AS first FROM audit_leaf
        WHERE event_id >= $1 AND event_id < coalesce(
          (SELECT event_id FROM audit_leaf WHERE event_id >= $2 ORDER BY event_id LIMIT 1 OFFSET 1),
          'ffffffff-ffff-ffff-ffff-ffffffffffff')`,
      [firstIdAt(time), firstIdAt(time + DISORDER_MS)],
    );
    return row?.first ?? size;
  }

  private async endBefore(time: number): Promise<number> {
    const [row] = await this.dataSource.query<{ last: number | null }[]>(
      `SELECT max(leaf_index) AS last FROM audit_leaf
        WHERE event_id < $1 AND event_id >= coalesce(
          (SELECT event_id FROM audit_leaf WHERE event_id < $2 ORDER BY event_id DESC LIMIT 1),
          '00000000-0000-0000-0000-000000000000')`,
      [firstIdAt(time), firstIdAt(time - DISORDER_MS)],
    );
    return row?.last === undefined || row.last === null ? 0 : row.last + 1;
  }

  private page(from: number, to: number): Promise<ExportedLeaf[]> {
    return this.dataSource.query<ExportedLeaf[]>(
      `SELECT leaf_index, audit_leaf.leaf_hash, event_id, event, rp_id, node.hash AS subtree
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

/** What another relying party's event says is not shown, but its place in the log is: so the range proves itself. */
function lineOf(leaf: ExportedLeaf, relyingParties: readonly string[] | null): string {
  const stored = { leafHash: leaf.leaf_hash, subtree: leaf.subtree ?? undefined };
  if (leaf.event === null) return formatErased(leaf.leaf_index, stored, leaf.event_id);
  const visible = relyingParties === null || (leaf.rp_id !== null && relyingParties.includes(leaf.rp_id));
  return visible ? formatEvent(leaf.leaf_index, leaf.event, stored) : formatErased(leaf.leaf_index, stored);
}
