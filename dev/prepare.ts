import { parseArgs } from 'node:util';
import { copyServiceFiles, prepareDevelopment } from './prepare-development.js';

const USAGE = 'usage: node dist/dev/prepare.js DIRECTORY [SERVICE_DIRECTORY]';
const HELP = `${USAGE}

Makes the files that a trial needs (development PKI, access policy, keys), unless the directory has them.

Arguments:
  DIRECTORY          The directory to prepare.
  SERVICE_DIRECTORY  Gets a copy of the files that the service reads, and no key of the CA or of a caller.

Options:
  --help, -h  Prints this text.

Exit codes:
  0  The files are there.
  2  The arguments are wrong.

Example:
  node dist/dev/prepare.js /var/lib/passkey-manager-prepared /var/lib/passkey-manager`;

function readDirectories(): string[] {
  try {
    const options = { help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    if (positionals.length === 1 || positionals.length === 2) return positionals;
    throw new Error('Name the directory to prepare.');
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const [directory, serviceDirectory] = readDirectories() as [string, string | undefined];
await prepareDevelopment(directory);
if (serviceDirectory) copyServiceFiles(directory, serviceDirectory);
