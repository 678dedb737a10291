import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
import { dataSourceOptions } from './data-source.js';
import { HotPath } from './hot-path.service.js';

/** The pool. Its URL is the configuration's, or the embedded server's that boot.ts started and put there. */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [CONFIG],
      useFactory: (config: Config) => ({
        ...dataSourceOptions(config.databaseUrl ?? '', config.workers),
        autoLoadEntities: true,
        retryAttempts: 0,
      }),
    }),
  ],
  providers: [HotPath],
  exports: [HotPath],
})
export class DatabaseModule {}
