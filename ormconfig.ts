import { DataSource } from 'typeorm';
import { readLogin } from './commands/database-login.js';
import { createCommandOptions } from './src/database/data-source.js';

/** The TypeORM CLI's door: `typeorm migration:show -d dist/ormconfig.js`, with DATABASE_URL. */
const { url, passwordFile } = readLogin(process.env, 'the role that owns its schema');
export default new DataSource(createCommandOptions(url, passwordFile));
