import { CitusNodes } from './citus-nodes.js';
import type { TestService } from './service.js';
import { readTestRoles } from './test-roles.js';

/** The service's tables, which each statement reads or writes at least one of. */
export const TABLES = [
  ...['relying_party', 'user_handle', 'credential', 'approval', 'spent_challenge', 'schema_migration'],
  ...['audit_event', 'audit_pending', 'audit_leaf', 'audit_node', 'audit_checkpoint', 'audit_turn'],
  ...['signal', 'signal_stream', 'signal_excluded_subject', 'signal_model', 'succession'],
  ...['statistic_ceremony', 'statistic_credential', 'statistic_log', 'statistic_walk'],
];

/** Where a request meets the fault: at its first statement, when it records its event, when it commits, or in the middle. */
export type Place = 'statement' | 'record' | 'commit' | 'later page';

/** What a function in the service's own session does, instead of raising an error: PostgreSQL makes the error then. */
export const REAL: Readonly<Record<string, string>> = {
  'terminates the session': '57P01',
  'cancels the statement': '57014',
};

const BY_ROW_SECURITY = [
  ...TABLES.map((table) => {
    const record = table === 'audit_event' ? ` AND (SELECT faults.meet('record'))` : '';
    const later = table === 'audit_leaf' ? ` AND (leaf_index < 600 OR (SELECT faults.meet('later page')))` : '';
    return `CREATE POLICY fault ON ${table} TO passkey_manager
              USING ((SELECT faults.meet('statement'))${later}) WITH CHECK ((SELECT faults.meet('statement'))${record})`;
  }),
  ...TABLES.map((table) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`),
];

const BY_TRIGGER = [
  `CREATE FUNCTION faults.meet_at_insert() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN PERFORM faults.meet('statement'), faults.meet('record'); RETURN NEW; END $$`,
  `CREATE TRIGGER fault BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION faults.meet_at_insert()`,
];

/**
 * Lets the tables of a service's database fail, for the service's role alone, by row security and a trigger. On a Citus cluster it
 * does so at the worker that has the rows, and by triggers alone: Citus inserts by COPY, which PostgreSQL refuses with row security.
 */
export class DatabaseFaults {
  private constructor(
    private readonly service: TestService,
    /** False: a statement that inserts no event meets no fault, and there is no later page. */
    readonly meetReads: boolean,
  ) {}

  static async install(service: TestService): Promise<DatabaseFaults> {
    const { named } = readTestRoles();
    const onCitus = new CitusNodes().areThere;
    const statements = [
      `CREATE SCHEMA faults`,
      `GRANT USAGE ON SCHEMA faults TO PUBLIC`,
      `CREATE TABLE faults.fault (state text, place text)`,
      `CREATE FUNCTION faults.meet(here text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = faults AS $$
         DECLARE what text := (SELECT state FROM fault WHERE place = here);
         BEGIN
           IF what = 'terminates the session' THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1);
           ELSIF what = 'cancels the statement' THEN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(1);
           ELSIF what = 'forgets prepared statements' THEN EXECUTE 'DEALLOCATE ALL';
           ELSIF what IS NOT NULL THEN RAISE EXCEPTION 'refused' USING ERRCODE = what;
           END IF;
           RETURN true;
         END $$`,
      `CREATE FUNCTION faults.meet_at_commit() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM faults.meet('commit'); RETURN NULL; END $$`,
      `CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON audit_pending DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION faults.meet_at_commit()`,
      ...(onCitus ? BY_TRIGGER : BY_ROW_SECURITY),
    ];
    for (const sql of statements) await service.sqlAtRows(named(sql));
    return new DatabaseFaults(service, !onCitus);
  }

  /** @param state a SQLSTATE, a name of `REAL`, or `forgets prepared statements` */
  async set(state: string, place: Place): Promise<void> {
    await this.service.sqlAtRows('INSERT INTO faults.fault VALUES ($1, $2)', [state, place]);
  }

  async clear(): Promise<void> {
    await this.service.sqlAtRows('DELETE FROM faults.fault');
  }
}
