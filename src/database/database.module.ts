import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
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
export class DatabaseModule {}
