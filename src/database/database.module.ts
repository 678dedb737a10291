/**
 * The connections to PostgreSQL, and the means to send it statements. Tables and their SQL belong to the features.
 *
 *  - data-source.ts has the settings of the pools and of each session, and runs the migrations.
 *  - database-session.ts is the client that all pools use. It survives lost connections and reads password files.
 *  - ceremony-pool.ts holds the connections of the ceremonies, so that a list or an export never holds up a sign-in.
 *  - named-statement.ts makes a statement that PostgreSQL plans once per connection, rows-statement.ts one that takes
 *    many rows, and statement-batcher.ts lets concurrent requests share it (docs/adr/0015-combined-statements.md).
 *  - role-scripts.ts runs the scripts of deploy/postgres, for the tests and the embedded database.
 */
import { Global, Module } from '@nestjs/common';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { createDataSourceOptions } from './data-source.js';
import { CeremonyPool } from './ceremony-pool.js';

/**
 * Provides the pools. Their URL is the one in the configuration, or the URL of the embedded server, which start-service.ts puts
 * there.
 */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [CONFIG],
      useFactory: (config: Config) => ({
        ...createDataSourceOptions(config.databaseUrl ?? '', config.workers, config.databasePasswordFile),
        autoLoadEntities: true,
        retryAttempts: 0,
      }),
    }),
  ],
  providers: [CeremonyPool],
  exports: [CeremonyPool],
})
export class DatabaseModule {
  constructor(@InjectDataSource() dataSource: DataSource, metrics: Metrics) {
    metrics.databasePools.set('other', (dataSource.driver as PostgresDriver).master as pg.Pool);
  }
}
