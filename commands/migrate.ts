import type { DataSource } from 'typeorm';
import { beginLog } from '../src/audit-log/begin-log.js';
import { migrate } from '../src/database/data-source.js';

/**
 * `npm run migration:run` migrates the database of DATABASE_URL to the schema of this version, and records that in its
 * audit log.
 */
const url = process.env['DATABASE_URL'];
if (!url) {
  console.error('DATABASE_URL is not set: name the database to migrate, with the role that owns its schema.');
  process.exit(1);
}
const passwordFile = process.env['PASSKEY_DATABASE_PASSWORD_FILE'] || undefined;
const begin = (dataSource: DataSource, executed: string[]): Promise<void> => beginLog(dataSource, executed, new Date());
const names = await migrate(url, begin, passwordFile);
console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'Nothing to migrate.');
