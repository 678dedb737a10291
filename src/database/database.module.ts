import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
import { dataSourceOptions, hotPathPool } from './data-source.js';
import { HOT_POOL, HotPath } from './hot-path.service.js';

/** The pools. Their URL is the configuration's, or the embedded server's that boot.ts started and put there. */
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
