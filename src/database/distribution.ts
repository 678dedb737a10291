import type pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { ConfigError } from '../config/config.js';
import { createCommandOptions } from './data-source.js';
import { demandSchema, readSchemaFacts, TAKE_TURN } from './schema.js';

/**
 * The tables that statements read together, and so must be at one server. Those that are missing here stay at the coordinator. The
 * others go where the first one is.
 */
const TABLES = [
  'relying_party',
  'user_handle',
  'credential',
  'spent_challenge',
  'approval',
  'signal_stream',
  'signal_excluded_subject',
  'signal',
  'signal_model',
  'audit_event',
  'audit_pending',
  'audit_turn',
  'audit_leaf',
  'audit_node',
  'audit_checkpoint',
  'audit_archive',
  'statistic_ceremony',
  'statistic_credential',
  'statistic_log',
  'statistic_walk',
] as const;
const [FIRST] = TABLES;

/** $1: names. SQL: those of them that are at the coordinator alone, in their order. */
const LIST_LOCAL = `
  SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS given (name, place)
   WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('public.' || name))
   ORDER BY place`;

/**
 * SQL: registration-accept calls this function at the worker, where its table is. Citus lets a function read a table from there
 * only if it is told so; it does, because the table is at the same server as the statement that calls.
 */
const COUNT_AT_THE_WORKER = [
  `SELECT create_distributed_function('count_credentials(text, text)')`,
  `ALTER FUNCTION count_credentials(text, text) SET citus.allow_nested_distributed_execution TO on`,
];

interface ClusterFacts {
  readonly isCoordinator: boolean;
  readonly workers: number;
}

/**
 * Moves the tables of a migrated database from the coordinator of a Citus cluster to one of its workers, all to the same one. It
 * is one transaction, and writers wait for it. Tables that are distributed already stay where they are.
 *
 * @returns the names of the tables that it moved
 * @throws ConfigError if the schema is not that of this version, the role does not own it, or the database is not the coordinator of
 *   a cluster with workers
 */
export async function distribute(url: string, passwordFile?: string): Promise<string[]> {
  const dataSource = await new DataSource(createCommandOptions(url, passwordFile)).initialize();
  try {
    const turn = dataSource.createQueryRunner();
    const session = (await turn.connect()) as pg.ClientBase;
    await demandWorkers(session);
    await demandSchema(session);
    await demandOwner(session);
    await turn.query(TAKE_TURN);
    return await turn.manager.transaction(moveTables);
  } finally {
    await dataSource.destroy();
  }
}

async function moveTables(manager: EntityManager): Promise<string[]> {
  await manager.query(`SET LOCAL citus.multi_shard_modify_mode TO 'sequential'`);
  const tables = await manager.query<{ name: string }[]>(LIST_LOCAL, [TABLES]);
  for (const { name } of tables) {
    await manager.query('SELECT create_distributed_table($1::text::regclass, NULL, colocate_with => $2)', [
      `public.${name}`,
      name === FIRST ? 'none' : `public.${FIRST}`,
    ]);
  }
  if (tables.length > 0) for (const sql of COUNT_AT_THE_WORKER) await manager.query(sql);
  return tables.map(({ name }) => name);
}

async function demandOwner(session: pg.ClientBase): Promise<void> {
  const { role, owner } = await readSchemaFacts(session);
  if (owner === role) return;
  throw new ConfigError([`The role ${role} may not distribute the tables: their owner is ${String(owner)}`]);
}

async function demandWorkers(session: pg.ClientBase): Promise<void> {
  const { rows: extensions } = await session.query(`SELECT FROM pg_extension WHERE extname = 'citus'`);
  if (extensions.length === 0) {
    throw new ConfigError([
      'The database has no extension citus: a superuser makes it on each node of the cluster, before the first migration',
    ]);
  }
  const { rows } = await session.query<ClusterFacts>(
    `SELECT (SELECT groupid = 0 FROM pg_dist_local_group) AS "isCoordinator",
            (SELECT count(*)::integer FROM pg_dist_node
              WHERE groupid <> 0 AND noderole = 'primary' AND isactive AND shouldhaveshards) AS workers`,
  );
  const { isCoordinator, workers } = rows[0]!;
  if (!isCoordinator) throw new ConfigError(['The database is that of a worker: name the coordinator of the cluster']);
  if (workers === 0) {
    throw new ConfigError([
      'The cluster has no worker that takes tables: a superuser adds one at the coordinator (SELECT citus_add_node)',
    ]);
  }
}
