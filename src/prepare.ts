import { copyServiceFiles, prepareDevelopment } from './config/development.js';

/**
 * `node dist/src/prepare.js <directory> [<service directory>]`: makes the files that a trial needs and that the first directory
 * lacks (development PKI, access policy, keys). It copies those that the service reads to the second: no key of the CA or of
 * callers.
 */
const [directory, serviceDirectory] = process.argv.slice(2);
if (!directory) {
  console.error('Name the directory to prepare: node dist/src/prepare.js <directory> [<service directory>]');
  process.exit(1);
}
await prepareDevelopment(directory);
if (serviceDirectory) copyServiceFiles(directory, serviceDirectory);
