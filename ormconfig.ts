import { DataSource } from 'typeorm';
import { dataSourceOptions } from './src/database/data-source.js';

/** The TypeORM CLI's door: `typeorm migration:show -d dist/ormconfig.js`, with DATABASE_URL. */
export default new DataSource(dataSourceOptions(process.env['DATABASE_URL'] ?? ''));
