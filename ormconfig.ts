import { DataSource } from 'typeorm';
import { createDataSourceOptions } from './src/database/data-source.js';

/** The TypeORM CLI's door: `typeorm migration:show -d dist/ormconfig.js`, with DATABASE_URL. */
const { DATABASE_URL: url = '', PASSKEY_DATABASE_PASSWORD_FILE: passwordFile } = process.env;
export default new DataSource(createDataSourceOptions(url, 1, passwordFile || undefined));
