import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
import { dataSourceOptions, hotPathPool } from './data-source.js';
import { HOT_POOL, HotPath } from './hot-path.service.js';

/**
 * Provides the pools. Their URL is the one in the configuration, or the URL of the embedded server, which boot.ts puts
 * there.
 */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [CONFIG],
      useFactory: (config: Config) => ({
        ...dataSourceOptions(config.databaseUrl ?? '', config.workers, config.databasePasswordFile),
        autoLoadEntities: true,
        retryAttempts: 0,
      }),
    }),
  ],
  providers: [
    HotPath,
    {
      provide: HOT_POOL,
      inject: [CONFIG],
      useFactory: (config: Config) =>
        hotPathPool(config.databaseUrl ?? '', config.workers, config.databasePasswordFile),
    },
  ],
  exports: [HotPath],
})
export class DatabaseModule {}
