import { prepareDevelopment } from './config/development.js';

/** `node dist/src/prepare.js <directory>`: makes there what a trial needs (development PKI, access policy, keys) and lacks. */
const directory = process.argv[2];
if (!directory) {
  console.error('Name the directory to prepare: node dist/src/prepare.js <directory>');
  process.exit(1);
}
await prepareDevelopment(directory);
