/**
 * Migrates the database of DATABASE_URL to the schema of this version, and records that in its audit log. It also shows and
 * reverts migrations.
 */
import { beginLog } from '../src/audit-log/begin-log.js';
import { listMigrations, migrate, revertMigration } from '../src/database/schema.js';
import { ConfigError } from '../src/config/config.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { EXIT, exitOnUsageError, type Program, readArguments, UsageError } from './command-line.js';
import { type RoleScript, runRoleScript } from '../src/database/role-scripts.js';
import { describeLogin, readLogin } from './database-login.js';

const OWNER = 'the role that owns its schema';

const PROGRAM = {
  command: 'npm run migration:run --',
  imageCommand: 'node dist/commands/migrate.js',
  usage: ['[--grants] [--sequencer]', '--show', '--revert'],
  about:
    'Migrates the database to the schema of this version, and records that in its audit log. All migrations are one transaction. Two runs at once take turns.',
  options: {
    grants: {
      text: 'Then grants the roles of the database their privileges on the tables, by deploy/postgres/grants.sql.',
    },
    sequencer: {
      text: 'After that gives the log its own writer, by deploy/postgres/sequencer.sql. It implies --grants.',
    },
    show: { text: 'Shows the migrations of this version, with [X] if they have run, and changes nothing.' },
    revert: { text: 'Reverts the migration that ran last. The data that it brought are lost.' },
  },
  environment: describeLogin(OWNER),
  examples: ['', '--grants', '--show'],
  exitCodes: {
    [EXIT.done]: 'The schema is that of this version, and the privileges are granted.',
    [EXIT.couldNotRun]:
      'The arguments or the environment are wrong, or the work failed. Run it again when you have fixed the cause.',
  },
} satisfies Program;

const { grants, sequencer, show, revert } = readArguments(PROGRAM).values;
const scripts: RoleScript[] = sequencer ? ['grants.sql', 'sequencer.sql'] : grants ? ['grants.sql'] : [];
const { url, passwordFile } = exitOnUsageError(PROGRAM, () => {
  if ([grants || sequencer, show, revert].filter(Boolean).length > 1) {
    throw new UsageError('Give one of --show, --revert, or --grants and --sequencer.');
  }
  return readLogin(process.env, OWNER);
});
try {
  if (show) await showMigrations();
  else if (revert) console.log(formatReverted(await revertMigration(url, passwordFile)));
  else await run();
} catch (error) {
  console.error(error instanceof ConfigError ? error.mistakes.join('\n') : describeProgramFailure(error));
  process.exitCode = EXIT.couldNotRun;
}

async function showMigrations(): Promise<void> {
  for (const { name, hasRun } of await listMigrations(url, passwordFile))
    console.log(`[${hasRun ? 'X' : ' '}] ${name}`);
}

function formatReverted(name: string | undefined): string {
  return name === undefined ? 'Nothing to revert.' : `Reverted: ${name}`;
}

async function run(): Promise<void> {
  const names = await migrate(
    url,
    async (through, executed) => {
      await beginLog(through, executed, new Date());
      for (const script of scripts) await runRoleScript(script, { connectionString: url, passwordFile });
    },
    passwordFile,
  );
  console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'Nothing to migrate.');
  for (const script of scripts) console.log(`Ran ${script}.`);
}
