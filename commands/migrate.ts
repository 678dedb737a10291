/** Migrates the database of DATABASE_URL to the schema of this version, and records that in its audit log. */
import { beginLog } from '../src/audit-log/begin-log.js';
import { migrate } from '../src/database/data-source.js';
import { type RoleScript, runRoleScript } from '../src/database/role-scripts.js';
import { EXIT, type Program, readArguments, reportUsage } from './command-line.js';

const PROGRAM = {
  command: 'npm run migration:run',
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
  environment: {
    DATABASE_URL: 'The database, with the role that owns its schema.',
    PASSKEY_DATABASE_PASSWORD_FILE: 'The file of the password, for a URL without one.',
  },
  examples: ['', '--grants'],
  exitCodes: {
    [EXIT.done]: 'The schema is that of this version, and the privileges are granted.',
    [EXIT.couldNotRun]:
      'The arguments or the environment are wrong, or the migration failed. Run it again when you have fixed the cause.',
  },
} satisfies Program;

const { grants, sequencer } = readArguments(PROGRAM).values;
const scripts: RoleScript[] = sequencer ? ['grants.sql', 'sequencer.sql'] : grants ? ['grants.sql'] : [];
const url = process.env['DATABASE_URL'];
if (!url) {
  reportUsage(PROGRAM, 'DATABASE_URL is not set: name the database to migrate, with the role that owns its schema.');
  process.exit(EXIT.couldNotRun);
}
const passwordFile = process.env['PASSKEY_DATABASE_PASSWORD_FILE'] || undefined;
try {
  const names = await migrate(
    url,
    async (dataSource, executed) => {
      await beginLog(dataSource, executed, new Date());
      for (const script of scripts) await runRoleScript(script, { connectionString: url, passwordFile });
    },
    passwordFile,
  );
  console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'Nothing to migrate.');
  for (const script of scripts) console.log(`Ran ${script}.`);
} catch (error) {
  console.error(error);
  process.exitCode = EXIT.couldNotRun;
}
