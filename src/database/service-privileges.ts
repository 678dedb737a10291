import type pg from 'pg';

/**
 * What grants.sql gives the service's role. Privileges that sequencer.sql moves to the writer of the log are not among them.
 * INSERT and UPDATE count if the role has them on a column.
 */
export const SERVICE_PRIVILEGES: Readonly<Record<string, string>> = {
  relying_party: 'SELECT INSERT UPDATE',
  key_check_value: 'SELECT INSERT',
  seal_key: 'SELECT INSERT UPDATE',
  seal_phase: 'SELECT INSERT',
  user_handle: 'SELECT INSERT UPDATE DELETE',
  credential: 'SELECT INSERT UPDATE DELETE',
  approval: 'SELECT INSERT UPDATE DELETE',
  signal_stream: 'SELECT INSERT UPDATE DELETE',
  signal_excluded_subject: 'SELECT INSERT DELETE',
  signal: 'SELECT INSERT DELETE',
  signal_model: 'SELECT INSERT UPDATE',
  challenge: 'SELECT INSERT UPDATE DELETE',
  spent_challenge: 'SELECT INSERT',
  audit_event: 'SELECT INSERT',
  audit_leaf: 'SELECT',
  audit_node: 'SELECT',
  audit_checkpoint: 'SELECT',
  audit_pending: 'SELECT INSERT',
  audit_turn: 'SELECT',
  reconciliation: 'SELECT UPDATE',
  succession: 'SELECT INSERT UPDATE DELETE',
  statistic_ceremony: 'SELECT INSERT UPDATE DELETE',
  statistic_credential: 'SELECT INSERT UPDATE DELETE',
  statistic_log: 'SELECT UPDATE',
  statistic_walk: 'SELECT UPDATE',
  audit_archive: 'SELECT',
  schema_migration: 'SELECT',
};

/** SQL: true if the role has $2 on the table or one of its columns. */
const HAS_SQL = `CASE privilege WHEN 'DELETE' THEN has_table_privilege(c.oid, 'DELETE')
                                ELSE has_any_column_privilege(c.oid, privilege) END`;

/** @returns the first privilege that the role of the session lacks, such as `INSERT on audit_event` */
export async function findMissingPrivilege(session: pg.ClientBase): Promise<string | undefined> {
  const needed = Object.entries(SERVICE_PRIVILEGES).flatMap(([table, privileges]) =>
    privileges.split(' ').map((privilege) => ({ name: table, privilege })),
  );
  const { rows } = await session.query<{ missing: string }>(
    `SELECT concat(privilege, ' on ', name) AS missing
       FROM ROWS FROM (json_to_recordset($1::json) AS (name text, privilege text)) WITH ORDINALITY
       LEFT JOIN pg_class c ON c.relnamespace = 'public'::regnamespace AND c.relname = name
      WHERE NOT coalesce(${HAS_SQL}, false) ORDER BY ordinality LIMIT 1`,
    [JSON.stringify(needed)],
  );
  return rows[0]?.missing;
}
