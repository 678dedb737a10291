import type pg from 'pg';

/** Of one table, with all its partitions: bytes without and of its indexes, and the rows that vacuum has yet to take. */
export interface TableSize {
  readonly heap: number;
  readonly indexes: number;
  readonly dead: number;
  /** How often autovacuum has been there. */
  readonly vacuums: number;
}

export const TABLES = [
  ...[
    'challenge',
    'credential',
    'user_handle',
    'audit_event',
    'audit_pending',
    'audit_leaf',
    'audit_node',
    'audit_checkpoint',
  ],
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
      ...{ heap: Number(heap), indexes: Number(indexes) },
      ...{ dead: Number(dead), vacuums: Number(vacuums) },
    };
    return [name, size] as const;
  });
  return Object.fromEntries(sizes) as Record<Table, TableSize>;
}

/** Bytes of WAL since the cluster was made. */
export async function walWritten(session: pg.Client): Promise<number> {
  const { rows } = await session.query<{ bytes: string }>(`SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes`);
  return Number(rows[0]!.bytes);
}
