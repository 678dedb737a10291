/**
 * Counts passkeys and ceremonies for operators and auditors (docs/adr/0052-operators-see-and-end.md).
 *
 * 1. statistics-counter.ts works in the background, in one replica at a time.
 * 2. ceremony-counts.repository.ts follows the log, leaf by leaf, and counts outcomes and challenges by hour.
 * 3. credential-counts.repository.ts walks through the passkeys of each relying party. credential-counts.ts adds up the pages. A
 *    relying party with few passkeys is counted when somebody asks.
 * 4. statistics.controller.ts answers from what is counted, and statistics.service.ts says how old that is.
 */
import { Module } from '@nestjs/common';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { CeremonyCountsRepository } from './ceremony-counts.repository.js';
import { CredentialCountsRepository } from './credential-counts.repository.js';
import { StatisticsController } from './statistics.controller.js';
import { StatisticsCounter } from './statistics-counter.js';
import { StatisticsService } from './statistics.service.js';

@Module({
  imports: [AuthenticatorsModule, RelyingPartiesModule],
  controllers: [StatisticsController],
  providers: [CeremonyCountsRepository, CredentialCountsRepository, StatisticsCounter, StatisticsService],
})
export class StatisticsModule {}
