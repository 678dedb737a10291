import { copyServiceFiles, prepareDevelopment } from './config/development.js';

/**
 * `node dist/src/prepare.js <directory> [<service directory>]`: makes in the first what a trial needs (development PKI,
 * access policy, keys) and lacks, and copies to the second what the service reads of it: no key of the CA and of callers.
 */
const [directory, serviceDirectory] = process.argv.slice(2);
if (!directory) {
  console.error('Name the directory to prepare: node dist/src/prepare.js <directory> [<service directory>]');
  process.exit(1);
}
await prepareDevelopment(directory);
if (serviceDirectory) copyServiceFiles(directory, serviceDirectory);
