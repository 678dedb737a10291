import { recordMigrations } from './audit/record-migrations.js';
import { migrate } from './database/data-source.js';

/** `npm run migration:run`: brings the database of DATABASE_URL to this version's schema, and records that in its audit log. */
const url = process.env['DATABASE_URL'];
if (!url) {
  console.error('DATABASE_URL is not set: name the database to migrate, with the role that owns its schema.');
  process.exit(1);
}
const names = await migrate(url, (dataSource, executed) => recordMigrations(dataSource, executed, new Date()));
console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'Nothing to migrate.');
