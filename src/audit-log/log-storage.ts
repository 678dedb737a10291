import { InjectDataSource } from '@nestjs/typeorm';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Queryable } from '../database/named-statement.js';
import { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import type { HashReader } from '../tlog/tiles.js';

export interface LastLeaf {
  readonly leafIndex: number;
  readonly eventId: string;
  /** The index of the first leaf. */
  readonly firstIndex: number;
}

type Nullable<Row> = { readonly [column in keyof Row]: Row[column] | null };

/** Reads the stored transparency log: leaves, the hashes above them, and checkpoints. */
@Injectable()
export class LogStorage implements HashReader {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Returns undefined if nothing was sequenced yet. */
  async findLatestCheckpoint(
    through: DataSource | DataSource['manager'] = this.dataSource,
  ): Promise<AuditCheckpointEntity | undefined> {
    const [latest] = await through.getRepository(AuditCheckpointEntity).find({ order: { size: 'DESC' }, take: 1 });
    return latest;
  }

  /** Reads the newest checkpoint and the last leaf in one snapshot. */
  async readHead(
    through: Queryable = this.dataSource,
  ): Promise<{ checkpoint: AuditCheckpointEntity | undefined; lastLeaf: LastLeaf | undefined }> {
    const [row] = await through.query<Nullable<AuditCheckpointEntity & LastLeaf>[]>(
      `SELECT leaf_index AS "leafIndex", event_id AS "eventId", (SELECT min(leaf_index) FROM audit_leaf) AS "firstIndex",
              size, root, frontier, last_id AS "lastId", note, created_at AS "createdAt"
         FROM (SELECT) AS one
         LEFT JOIN (SELECT * FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS checkpoint ON true
         LEFT JOIN (SELECT leaf_index, event_id FROM audit_leaf ORDER BY leaf_index DESC LIMIT 1) AS leaf ON true`,
    );
    const { leafIndex, eventId, firstIndex, ...checkpoint } = row!;
    return {
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

  /** Returns the leaf index of an event, or undefined if the event is not sequenced yet. */
  async findLeafIndex(eventId: string): Promise<number | undefined> {
    return (await this.findLeafIndexes([eventId])).get(eventId);
  }

  /** Returns the leaf indexes of events, by event id. Events that are not sequenced yet are missing. */
  async findLeafIndexes(eventIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.dataSource.query<{ event_id: string; leaf_index: number }[]>(
      'SELECT event_id, leaf_index FROM audit_leaf WHERE event_id = ANY ($1::uuid[])',
      [eventIds],
    );
    return new Map(rows.map((row) => [row.event_id, row.leaf_index]));
  }
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

/**
 * Stores what a batch adds to the log: leaves, the hashes of completed subtrees, and the checkpoint.
 *
 * @param settled every event below this transaction number is sequenced; replicas of the previous version rely on it
 */
export async function appendToLog(
  through: Queryable,
  leaves: { readonly firstIndex: number; readonly eventIds: readonly string[]; readonly hashes: readonly Buffer[] },
  nodes: {
    readonly levels: readonly number[];
    readonly indexes: readonly number[];
    readonly hashes: readonly Buffer[];
  },
  checkpoint: AuditCheckpointEntity,
  settled: string | undefined,
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
    `INSERT INTO audit_checkpoint (size, root, frontier, last_id, note, created_at, last_tx)
     VALUES ($1, $2, $3, $4, $5, $6, coalesce(greatest(
       $7::numeric - 1, (SELECT last_tx FROM audit_checkpoint ORDER BY size DESC LIMIT 1)), 0))`,
    [size, root, frontier, lastId, note, createdAt, settled],
  );
}
