/** Migrates the database of DATABASE_URL to the schema of this version, and records that in its audit log. */
import { beginLog } from '../src/audit-log/begin-log.js';
import { migrate } from '../src/database/data-source.js';
import { EXIT, type Program, readArguments, reportUsage } from './command-line.js';

const PROGRAM: Program = {
  command: 'npm run migration:run',
  imageCommand: 'node dist/commands/migrate.js',
  usage: [''],
  about:
    'Migrates the database to the schema of this version, and records that in its audit log. All migrations are one transaction. Two runs at once take turns.',
  options: {},
  environment: {
    DATABASE_URL: 'The database, with the role that owns its schema.',
    PASSKEY_DATABASE_PASSWORD_FILE: 'The file of the password, for a URL without one.',
  },
  examples: [''],
  exitCodes: {
    [EXIT.done]: 'The schema is that of this version.',
    [EXIT.couldNotRun]:
      'The arguments or the environment are wrong, or the migration failed. Run it again when you have fixed the cause.',
  },
};

readArguments(PROGRAM);
const url = process.env['DATABASE_URL'];
if (!url) {
  reportUsage(PROGRAM, 'DATABASE_URL is not set: name the database to migrate, with the role that owns its schema.');
  process.exit(EXIT.couldNotRun);
}
const passwordFile = process.env['PASSKEY_DATABASE_PASSWORD_FILE'] || undefined;
try {
  const names = await migrate(url, (dataSource, executed) => beginLog(dataSource, executed, new Date()), passwordFile);
  console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'Nothing to migrate.');
} catch (error) {
  console.error(error);
  process.exitCode = EXIT.couldNotRun;
}
