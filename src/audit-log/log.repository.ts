import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import type { Queryable } from '../database/named-statement.js';
import { AuditCheckpointEntity } from './log.entities.js';
import { type HashReader, isStoredLevel, TILE_HEIGHT } from '../tlog/tiles.js';
import { toFirstId } from '../audit/audit-event.repository.js';

/** How far the order of the log may differ from the order of the events' times. */
const DISORDER_MS = 600_000;
const TILE = 2 ** TILE_HEIGHT;
/** Levels above the leaves whose hashes are stored, as far as leaf indexes go. */
const STORED_LEVELS = Array.from({ length: 63 }, (_, level) => level).filter(
  (level) => level > 0 && isStoredLevel(level),
);

/** The end of the log. */
export interface LogHead {
  readonly checkpoint: AuditCheckpointEntity | undefined;
  readonly lastLeaf: LastLeaf | undefined;
  /** True if a stored hash is of leaves that are not in the log of the checkpoint. */
  readonly hasHashBeyond: boolean;
}

export interface LastLeaf {
  readonly leafIndex: number;
  readonly eventId: string;
  /** The index of the first leaf. */
  readonly firstIndex: number;
}

/** A leaf with its event, as exports show it. */
export interface ExportedLeaf {
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

type Nullable<Row> = { readonly [column in keyof Row]: Row[column] | null };

/** Reads the stored transparency log: leaves, the hashes above them, and checkpoints. */
@Injectable()
export class LogRepository implements HashReader {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Returns undefined if nothing was sequenced yet. */
  async findLatestCheckpoint(
    through: DataSource | DataSource['manager'] = this.dataSource,
  ): Promise<AuditCheckpointEntity | undefined> {
    const [latest] = await through.getRepository(AuditCheckpointEntity).find({ order: { size: 'DESC' }, take: 1 });
    return latest;
  }

  /** Reads the newest checkpoint, the last leaf and if there is a hash beyond them, in one snapshot. */
  async readHead(through: Queryable = this.dataSource): Promise<LogHead> {
    const [row] = await through.query<(Nullable<AuditCheckpointEntity & LastLeaf> & { hasHashBeyond: boolean })[]>(
      `SELECT leaf_index AS "leafIndex", event_id AS "eventId", (SELECT min(leaf_index) FROM audit_leaf) AS "firstIndex",
              size, root, frontier, last_id AS "lastId", note, created_at AS "createdAt",
              EXISTS (SELECT FROM unnest('{${STORED_LEVELS.join()}}'::smallint[]) AS stored
                       WHERE EXISTS (SELECT FROM audit_node WHERE level = stored AND index >= coalesce(size, 0) >> stored)) AS "hasHashBeyond"
         FROM (SELECT) AS one
         LEFT JOIN (SELECT * FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS checkpoint ON true
         LEFT JOIN (SELECT leaf_index, event_id FROM audit_leaf ORDER BY leaf_index DESC LIMIT 1) AS leaf ON true`,
    );
    const { leafIndex, eventId, firstIndex, hasHashBeyond, ...checkpoint } = row!;
    return {
      hasHashBeyond,
      checkpoint: checkpoint.size === null ? undefined : (checkpoint as AuditCheckpointEntity),
      lastLeaf: leafIndex === null ? undefined : ({ leafIndex, eventId, firstIndex } as LastLeaf),
    };
  }

  /** Returns a reader of the stored hashes as a transaction sees them. */
  createReader(queryable: Queryable): HashReader {
    return { read: (level, fromIndex, count) => readHashes(queryable, level, fromIndex, count) };
  }

  read(level: number, fromIndex: number, count: number): Promise<Buffer[]> {
    return readHashes(this.dataSource, level, fromIndex, count);
  }

  /** Returns the leaf index of an event, null if it has none, and if it is pending. Both are of one moment. */
  async findPlace(eventId: string): Promise<{ readonly leafIndex: number | null; readonly isPending: boolean }> {
    const [place] = await this.dataSource.query<[{ leafIndex: number | null; isPending: boolean }]>(
      `SELECT (SELECT leaf_index FROM audit_leaf WHERE event_id = $1) AS "leafIndex",
              EXISTS (SELECT FROM audit_pending WHERE event_id = $1) AS "isPending"`,
      [eventId],
    );
    return place;
  }

  /** Returns the leaf indexes of events, by event id. Events that are not sequenced yet are missing. */
  async findLeafIndexes(eventIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.dataSource.query<{ event_id: string; leaf_index: number }[]>(
      'SELECT event_id, leaf_index FROM audit_leaf WHERE event_id = ANY ($1::uuid[])',
      [eventIds],
    );
    return new Map(rows.map((row) => [row.event_id, row.leaf_index]));
  }

  /** Reads the leaves [from, to) in order, with their events. */
  readLeaves(from: number, to: number): Promise<ExportedLeaf[]> {
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

  /**
   * Returns the first leaf with an event of this time or later, and `size` if there is none. `OFFSET 0` makes PostgreSQL
   * read the few events near a time, instead of scanning all leaves in order until it finds one of them.
   */
  async findBegin(time: number, size: number): Promise<number> {
    const [row] = await this.dataSource.query<{ first: number | null }[]>(
      `SELECT min(leaf_index) AS first FROM (
         SELECT leaf_index FROM audit_leaf
          WHERE event_id >= $1 AND event_id < coalesce(
            (SELECT event_id FROM audit_leaf WHERE event_id >= $2 ORDER BY event_id LIMIT 1 OFFSET 1),
            'ffffffff-ffff-ffff-ffff-ffffffffffff')
         OFFSET 0) AS near`,
      [toFirstId(time), toFirstId(time + DISORDER_MS)],
    );
    return row?.first ?? size;
  }

  /** Returns the leaf after the last one with an event before this time. */
  async findEnd(time: number): Promise<number> {
    const [row] = await this.dataSource.query<{ last: number | null }[]>(
      `SELECT max(leaf_index) AS last FROM (
         SELECT leaf_index FROM audit_leaf
          WHERE event_id < $1 AND event_id >= coalesce(
            (SELECT event_id FROM audit_leaf WHERE event_id < $2 ORDER BY event_id DESC LIMIT 1),
            '00000000-0000-0000-0000-000000000000')
         OFFSET 0) AS near`,
      [toFirstId(time), toFirstId(time - DISORDER_MS)],
    );
    return row?.last === undefined || row.last === null ? 0 : row.last + 1;
  }
}

/** SQL: true if an event has no leaf. It is not an anti-join, because a plan that reads all leaves would be slow. */
export function hasNoLeafSql(eventId: string): string {
  return `(SELECT leaf_index FROM audit_leaf WHERE event_id = ${eventId}) IS NULL`;
}

async function readHashes(through: Queryable, level: number, fromIndex: number, count: number): Promise<Buffer[]> {
  const rows = await through.query<{ hash: Buffer }[]>(
    level === 0
      ? `SELECT leaf_hash AS hash FROM audit_leaf WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index`
      : `SELECT hash FROM audit_node WHERE index >= $1 AND index < $2 AND level = $3 ORDER BY index`,
    [fromIndex, fromIndex + count, ...(level === 0 ? [] : [level])],
  );
  return rows.map(({ hash }) => hash);
}

/** Stores what a batch adds to the log: leaves, the hashes of completed subtrees, and the checkpoint. */
export async function appendToLog(
  through: Queryable,
  leaves: { readonly firstIndex: number; readonly eventIds: readonly string[]; readonly hashes: readonly Buffer[] },
  nodes: {
    readonly levels: readonly number[];
    readonly indexes: readonly number[];
    readonly hashes: readonly Buffer[];
  },
  checkpoint: AuditCheckpointEntity,
): Promise<void> {
  await through.query(
    `INSERT INTO audit_leaf (leaf_index, event_id, leaf_hash)
     SELECT $1::bigint + ordinality - 1, event_id, leaf_hash
       FROM unnest($2::uuid[], $3::bytea[]) WITH ORDINALITY AS leaf (event_id, leaf_hash, ordinality)`,
    [leaves.firstIndex, leaves.eventIds, leaves.hashes],
  );
  if (nodes.hashes.length > 0) {
    await through.query(
      'INSERT INTO audit_node (level, index, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])',
      [nodes.levels, nodes.indexes, nodes.hashes],
    );
  }
  const { size, root, frontier, lastId, note, createdAt } = checkpoint;
  await through.query(
    'INSERT INTO audit_checkpoint (size, root, frontier, last_id, note, created_at) VALUES ($1, $2, $3, $4, $5, $6)',
    [size, root, frontier, lastId, note, createdAt],
  );
}
