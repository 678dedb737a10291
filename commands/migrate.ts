/** Migrates the database of DATABASE_URL to the schema of this version, and records that in its audit log. */
import { beginLog } from '../src/audit-log/begin-log.js';
import { migrate } from '../src/database/schema.js';
import { ConfigError } from '../src/config/config.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { EXIT, exitOnUsageError, type Program, readArguments } from './command-line.js';
import { type RoleScript, runRoleScript } from '../src/database/role-scripts.js';
import { describeLogin, readLogin } from './database-login.js';

const OWNER = 'the role that owns its schema';

const PROGRAM = {
  command: 'npm run migration:run --',
  imageCommand: 'node dist/commands/migrate.js',
  usage: ['[--grants] [--sequencer]'],
  about:
    'Migrates the database to the schema of this version, and records that in its audit log. All migrations are one transaction. Two runs at once take turns.',
  options: {
    grants: {
      text: 'Then grants the roles of the database their privileges on the tables, by deploy/postgres/grants.sql.',
    },
    sequencer: {
      text: 'After that gives the log its own writer, by deploy/postgres/sequencer.sql. It implies --grants.',
    },
  },
  environment: describeLogin(OWNER),
  examples: ['', '--grants'],
  exitCodes: {
    [EXIT.done]: 'The schema is that of this version, and the privileges are granted.',
    [EXIT.couldNotRun]:
      'The arguments or the environment are wrong, or the migration failed. Run it again when you have fixed the cause.',
  },
} satisfies Program;

const { grants, sequencer } = readArguments(PROGRAM).values;
const scripts: RoleScript[] = sequencer ? ['grants.sql', 'sequencer.sql'] : grants ? ['grants.sql'] : [];
const { url, passwordFile } = exitOnUsageError(PROGRAM, () => readLogin(process.env, OWNER));
try {
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
} catch (error) {
  console.error(error instanceof ConfigError ? error.mistakes.join('\n') : describeProgramFailure(error));
  process.exitCode = EXIT.couldNotRun;
}
