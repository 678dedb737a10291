import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Severable } from '../../test/support/severable.js';
import { untilLogFails } from './deployment.js';
import { Server } from './postgres.js';
import { type Outcome, OLDER, type Trial, WHOLE } from './trial.js';

/** A way to another database, as docs/runbook.md describes it. */
export interface Procedure {
  readonly name: string;
  /** What the runbook says that it ends in. */
  readonly expected: Outcome;
  /** Runs the procedure under load, and examines the service on the new database. */
  readonly run: (trial: Trial) => Promise<Outcome>;
}

/** The one that `npm run drill` rehearses. */
export const RESTORE: Procedure = { name: 'dump and restore', expected: OLDER, run: dumpAndRestore };

export const PROCEDURES: readonly Procedure[] = [
  RESTORE,
  { name: 'point in time', expected: OLDER, run: restoreToTime },
  { name: 'logical replication', expected: WHOLE, run: replicateLogically },
  { name: 'asynchronous standby', expected: OLDER, run: promoteAsynchronous },
  { name: 'synchronous standby', expected: WHOLE, run: promoteSynchronous },
];

/** Callers work during the dump and after it. */
async function dumpAndRestore(trial: Trial): Promise<Outcome> {
  const old = await trial.createServer();
  const service = await trial.deployment.start(old.url('passkey_manager'));
  const dump = join(trial.programs.own(trial.home('dumps')), 'dump');
  await trial.loadBefore(old, service);
  await trial.loadAfter(old, service, () =>
    trial.step('pg_dump while callers change passkeys', () =>
      old.dumpTool('pg_dump', '--format=custom', `--file=${dump}`),
    ),
  );
  await trial.step(
    'Lose the service and its database',
    async () => {
      await service.kill();
      await old.stop();
    },
    () => `${String(trial.after.acknowledged)} changes were acknowledged since the dump began`,
  );

  const restored = await trial.step('Make an empty server', () =>
    trial.keep(Server.create(trial.programs, trial.home('new'))),
  );
  await trial.step('Make the database and run roles.sql', () => restored.prepare());
  await trial.step('pg_restore', () => restored.dumpTool('pg_restore', '--exit-on-error', dump));
  await trial.step('Run grants.sql and ANALYZE', async () => {
    await restored.grant();
    await restored.sql('ANALYZE');
  });
  return trial.examineOlder(restored);
}

/** Callers work during the base backup, until the time to which the database goes back, and after it. */
async function restoreToTime(trial: Trial): Promise<Outcome> {
  const archive = trial.programs.own(trial.home('archive'));
  const backup = trial.programs.own(trial.home('backup'));
  const old = await trial.createServer([`archive_mode = on`, `archive_command = 'cp "%p" "${archive}/%f"'`]);
  const service = await trial.deployment.start(old.url('passkey_manager'));
  await trial.loadBefore(old, service, () => old.copyOf(old, backup));
  const [{ time } = { time: '' }] = await old.sql<{ time: string }>(`SELECT clock_timestamp()::text AS time`);
  await trial.loadAfter(old, service);
  await service.kill();
  await old.archive();
  await old.stop();

  const restored = await trial.keep(Server.fromBackup(trial.programs, trial.home('new'), backup));
  await restored.startRecovery([
    `archive_mode = off`,
    `restore_command = 'cp "${archive}/%f" "%p"'`,
    `recovery_target_time = '${time}'`,
    `recovery_target_action = 'promote'`,
  ]);
  return trial.examineOlder(restored);
}

/** Blue and green: callers work until the service stops on the old cluster, and it starts on the new one. */
async function replicateLogically(trial: Trial): Promise<Outcome> {
  const blue = await trial.createServer(['wal_level = logical']);
  const service = await trial.deployment.start(blue.url('passkey_manager'));
  await trial.loadBefore(blue, service);
  const green = await trial.keep(Server.create(trial.programs, trial.home('new')));
  await green.prepare();
  await copySchema(blue, green, trial.programs.own(trial.home('dumps')));
  await replicate(blue, green);
  await pretendThatTimePassed(green);
  await trial.loadThroughout(service, async () => {
    await green.sql(MAKE_PERIODS, undefined, 'passkey_migrator');
    await service.stop();
  });
  await switchOver(blue, green);
  const notes = await trial.deployment.readAnchors();
  return trial.examineWhole(green, await trial.deployment.start(green.url('passkey_manager')), notes);
}

/** What the operator runs on the new cluster while it replicates. Without it the replication stands still by now. */
const MAKE_PERIODS = 'SELECT spent_challenge_make_periods(now())';
/** Tables whose rows the publication brings: all but the migrations, whose sequence it would not bring. */
const PUBLISHED = `relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
  AND relname <> 'schema_migration'`;
const MIGRATIONS = ['--table=schema_migration', '--table=schema_migration_id_seq'];

async function copySchema(blue: Server, green: Server, dumps: string): Promise<void> {
  const [schema, migrations] = [join(dumps, 'schema'), join(dumps, 'migrations')];
  await blue.dumpTool('pg_dump', '--schema-only', '--format=custom', `--file=${schema}`);
  await green.dumpTool('pg_restore', '--exit-on-error', schema);
  await blue.dumpTool('pg_dump', '--data-only', ...MIGRATIONS, '--format=custom', `--file=${migrations}`);
  await green.dumpTool('pg_restore', '--exit-on-error', migrations);
  await green.grant();
  await green.untilHolds(
    'SELECT (SELECT last_value FROM schema_migration_id_seq) >= max(id) AS holds FROM schema_migration',
  );
}

async function replicate(blue: Server, green: Server): Promise<void> {
  const [{ tables } = { tables: '' }] = await blue.sql<{ tables: string }>(
    `SELECT string_agg(quote_ident(relname), ', ') AS tables FROM pg_class WHERE ${PUBLISHED}`,
  );
  await blue.sql(`CREATE PUBLICATION green FOR TABLE ${tables} WITH (publish_via_partition_root = true)`);
  await green.sql(`CREATE SUBSCRIPTION green CONNECTION '${blue.url('postgres')}' PUBLICATION green`);
  await green.untilHolds(`SELECT bool_and(srsubstate = 'r') AS holds FROM pg_subscription_rel`);
}

/**
 * Takes the present month and the present period away, as if both had begun since. The old cluster has made them, and DDL
 * is not replicated.
 */
async function pretendThatTimePassed(green: Server): Promise<void> {
  await green.sql(`DO $$
    DECLARE
      present uuid := audit_first_id((now() AT TIME ZONE 'UTC')::date);
      month text := (SELECT name FROM audit_partitions() WHERE lower_id <= present AND upper_id > present);
      period text := 'spent_challenge_' || spent_challenge_period(now());
    BEGIN
      EXECUTE format('ALTER TABLE audit_event DETACH PARTITION %I', month);
      EXECUTE format('INSERT INTO audit_event_default SELECT * FROM %I', month);
      EXECUTE format('DROP TABLE %I, %I', month, period);
    END $$`);
}

/** Waits until the new cluster has everything, and ends the replication. */
async function switchOver(blue: Server, green: Server): Promise<void> {
  const [{ end } = { end: '' }] = await blue.sql<{ end: string }>('SELECT pg_current_wal_lsn()::text AS end');
  await blue.untilHolds(`SELECT confirmed_flush_lsn >= '${end}' AS holds FROM pg_replication_slots`);
  await green.sql('DROP SUBSCRIPTION green');
  await green.sql('ANALYZE');
  await blue.stop();
}

/** The standby lags when the primary is lost. A running service and one that starts refuse the log alike. */
async function promoteAsynchronous(trial: Trial): Promise<Outcome> {
  const primary = await trial.createServer();
  const standby = await trial.keep(Server.standBy(trial.programs, trial.home('standby'), primary));
  const wire = await Severable.openBefore(primary.url('passkey_manager'));
  const service = await trial.deployment.start(wire.url);
  await trial.loadBefore(primary, service);
  await primary.untilHolds(`SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) AS holds FROM pg_stat_replication`);
  await standby.sql(`ALTER SYSTEM SET primary_conninfo = ''`);
  await standby.sql('SELECT pg_reload_conf()');
  await primary.untilHolds(`SELECT count(*) = 0 AS holds FROM pg_stat_replication`);
  await trial.loadAfter(primary, service);
  await primary.crash();
  wire.cut();
  await standby.promote();
  wire.redirect(standby.url('passkey_manager'));
  const [failure] = await untilLogFails(service);
  await service.stop();
  await wire.close();
  const outcome = await trial.examineOlder(standby);
  return { ...outcome, log: outcome.log.replace(/^log-truncated/, failure) };
}

/** The service runs throughout, and nobody restarts it. */
async function promoteSynchronous(trial: Trial): Promise<Outcome> {
  const primary = await trial.createServer();
  const standby = await trial.keep(Server.standBy(trial.programs, trial.home('standby'), primary));
  await primary.sql(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
  await primary.sql('SELECT pg_reload_conf()');
  await primary.untilHolds(`SELECT bool_and(sync_state = 'sync') AS holds FROM pg_stat_replication`);
  const wire = await Severable.openBefore(primary.url('passkey_manager'));
  const service = await trial.deployment.start(wire.url);
  await trial.loadBefore(primary, service);
  let notes: readonly string[] = [];
  await trial.loadThroughout(service, async () => {
    await primary.crash();
    wire.cut();
    notes = await trial.deployment.readAnchors();
    await sleep(1_000);
    await standby.promote();
    wire.redirect(standby.url('passkey_manager'));
    await trial.answersAgain();
  });
  const outcome = await trial.examineWhole(standby, service, notes);
  await service.stop();
  await wire.close();
  return outcome;
}
