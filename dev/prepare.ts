import { copyServiceFiles, prepareDevelopment } from './prepare-development.js';

/**
 * Makes the files that a trial needs (development PKI, access policy, keys), unless the directory has them. It copies
 * those that the service reads, and no key of the CA or of a caller, to the service directory.
 *
 *     node dist/dev/prepare.js <directory> [<service directory>]
 */
const [directory, serviceDirectory] = process.argv.slice(2);
if (!directory) {
  console.error('Name the directory to prepare: node dist/dev/prepare.js <directory> [<service directory>]');
  process.exit(1);
}
await prepareDevelopment(directory);
if (serviceDirectory) copyServiceFiles(directory, serviceDirectory);
