/**
 * Seals of rows: a MAC over everything in a row that decides, so that the service notices what something else changed
 * (docs/adr/0005-credential-rows-carry-a-mac.md, 0026-sealed-relying-parties.md and 0031-keys-are-sets.md).
 *
 *  - seal.ts computes a seal, and seals.ts makes and verifies one. The features say what it covers.
 *  - seal-register.ts reads which keys are retired, and if the seals of the version before still count. At the start it
 *    compares the keys with their check values (check-value.ts).
 */
import { Global, Module } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { Metrics } from '../telemetry/metrics.js';
import { SealRegister } from './seal-register.js';
import { Seals } from './seals.js';

@Global()
@Module({
  providers: [
    {
      provide: SealRegister,
      inject: [getDataSourceToken(), CLOCK, SECRET_KEYS, Metrics],
      useFactory: (dataSource: DataSource, clock: Clock, keys: SecretKeys, metrics: Metrics) =>
        SealRegister.read(dataSource, clock, keys, metrics),
    },
    Seals,
  ],
  exports: [SealRegister, Seals],
})
export class SealsModule {}
