/** Moves the tables of DATABASE_URL from the coordinator of a Citus cluster to one of its workers. */
import { ConfigError } from '../src/config/config.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { distribute } from '../src/database/distribution.js';
import { EXIT, exitOnUsageError, type Program, readArguments } from './command-line.js';
import { describeLogin, readLogin } from './database-login.js';

const OWNER = 'the role that owns its schema, at the coordinator';

const PROGRAM = {
  command: 'npm run migration:distribute',
  imageCommand: 'node dist/commands/distribute.js',
  usage: [''],
  about:
    'Moves the tables of a migrated database from the coordinator of a Citus cluster to one of its workers, all to the same one. Read docs/scaling.md first: a sign-in then costs the database several times as much. Writers wait until it is done. Tables that are distributed already stay where they are.',
  options: {},
  environment: describeLogin(OWNER),
  examples: [''],
  exitCodes: {
    [EXIT.done]: 'All tables are distributed.',
    [EXIT.couldNotRun]:
      'The arguments, the environment or the cluster are not as they must be, or the move failed. Nothing has changed.',
  },
} satisfies Program;

readArguments(PROGRAM);
const { url, passwordFile } = exitOnUsageError(PROGRAM, () => readLogin(process.env, OWNER));
try {
  const tables = await distribute(url, passwordFile);
  console.log(tables.length > 0 ? `Distributed: ${tables.join(', ')}` : 'Nothing to distribute.');
} catch (error) {
  console.error(error instanceof ConfigError ? error.mistakes.join('\n') : describeProgramFailure(error));
  process.exitCode = EXIT.couldNotRun;
}
