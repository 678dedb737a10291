import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { readLogin } from './commands/database-login.js';
import { createCommandOptions } from './src/database/data-source.js';

/**
 * The data source of TypeORM's own program, for those who write a migration:
 * `npx typeorm migration:generate -d dist/ormconfig.js PATH`, with DATABASE_URL. Operators have `npm run migration:run`.
 */
const { url, passwordFile } = readLogin(process.env, 'the role that owns its schema');
export default new DataSource({
  ...createCommandOptions(url, passwordFile),
  entities: [join(import.meta.dirname, 'src/**/*.{entity,entities}.js')],
});
