import type pg from 'pg';

/** One table with all its partitions: its bytes without indexes, its indexes' bytes, and the dead rows before vacuum. */
export interface TableSize {
  readonly heap: number;
  readonly indexes: number;
  readonly dead: number;
  /** The number of autovacuum runs. */
  readonly vacuums: number;
}

export const TABLES = [
  'spent_challenge',
  'credential',
  'user_handle',
  'audit_event',
  'audit_pending',
  'audit_leaf',
  'audit_node',
  'audit_checkpoint',
] as const;
export type Table = (typeof TABLES)[number];

export async function tableSizes(session: pg.Client): Promise<Record<Table, TableSize>> {
  const { rows } = await session.query<{ name: Table; heap: string; indexes: string; dead: string; vacuums: string }>(
    `SELECT name, sum(pg_table_size(relid)) AS heap, sum(pg_indexes_size(relid)) AS indexes,
            coalesce(sum(n_dead_tup), 0) AS dead, coalesce(sum(autovacuum_count), 0) AS vacuums
       FROM unnest($1::text[]) AS name
       CROSS JOIN LATERAL (SELECT relid FROM pg_partition_tree(name::regclass) UNION SELECT name::regclass) AS part
       LEFT JOIN pg_stat_user_tables USING (relid)
      GROUP BY name`,
    [TABLES],
  );
  const sizes = rows.map(({ name, heap, indexes, dead, vacuums }) => {
    const size: TableSize = {
      heap: Number(heap),
      indexes: Number(indexes),
      dead: Number(dead),
      vacuums: Number(vacuums),
    };
    return [name, size] as const;
  });
  return Object.fromEntries(sizes) as Record<Table, TableSize>;
}

/** Returns the bytes of WAL since the creation of the cluster. */
export async function walWritten(session: pg.Client): Promise<number> {
  const { rows } = await session.query<{ bytes: string }>(`SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes`);
  return Number(rows[0]!.bytes);
}
