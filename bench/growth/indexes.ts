import type pg from 'pg';

const TABLES = ['user_handle', 'credential', 'audit_event', 'audit_leaf'];
/** An index with entries in order: it does not slow the load. */
const IN_ORDER = ['credential_rp_time', 'credential_aaguid_time'];

/** Drops the indexes into which a load would write at random. @returns statements that make them again, one by one */
export async function dropIndexes(session: pg.Client): Promise<(() => Promise<unknown>)[]> {
  const constraints = await session.query<{ drop: string; make: string }>(
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
            format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS make
       FROM pg_constraint WHERE contype = 'u' AND conrelid = ANY ($1::regclass[])`,
    [TABLES],
  );
  const indexes = await session.query<{ drop: string; make: string }>(
    `SELECT format('DROP INDEX %s', indexrelid::regclass) AS drop,
            replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS make
       FROM pg_index
      WHERE indrelid = ANY ($1::regclass[]) AND NOT indisprimary AND indexrelid::regclass::text <> ALL ($2)
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)`,
    [TABLES, IN_ORDER],
  );
  const dropped = [...constraints.rows, ...indexes.rows];
  for (const { drop } of dropped) await session.query(drop);
  return dropped.map(
    ({ make }) =>
      () =>
        session.query(make),
  );
}
