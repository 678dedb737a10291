/**
 * Challenges: what a ceremony begins with.
 *
 *  1. challenges.service.ts takes the request, demands that the caller identified the user before a registration
 *     (identity-proof.ts), and makes the options of src/webauthn/options.ts.
 *  2. challenge.repository.ts stores the challenge and its audit event in one statement, within the limits of the user
 *     (user-limits.repository.ts has the rules). user-limiter.ts refuses a challenge over a limit.
 *  3. A user without passkeys is shown decoys (decoy.ts), whose shapes are those of real lists (decoy-shapes.ts).
 *  4. src/credentials/answer.repository.ts redeems a challenge. expired-challenge-purger.ts deletes those that nobody
 *     answers.
 *  5. spent-challenge-periods.ts makes and drops the partitions of the table that tells which challenges are spent.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { ChallengeRepository } from './challenge.repository.js';
import { ChallengeCounts } from './challenge-counts.js';
import { ChallengeEntity } from './challenge.entity.js';
import { ChallengePace } from './challenge-pace.js';
import { ChallengesController } from './challenges.controller.js';
import { ChallengesService } from './challenges.service.js';
import { DecoyShapes } from './decoy-shapes.js';
import { ExpiredChallengePurger } from './expired-challenge-purger.js';
import { SpentChallengePeriods } from './spent-challenge-periods.js';
import { UserHandleEntity } from './user-handle.entity.js';
import { UserHandleRepository } from './user-handle.repository.js';
import { UserLimiter } from './user-limiter.js';

@Module({
  imports: [TypeOrmModule.forFeature([ChallengeEntity, UserHandleEntity]), RelyingPartiesModule],
  controllers: [ChallengesController],
  providers: [
    ChallengeCounts,
    ChallengePace,
    ChallengeRepository,
    UserHandleRepository,
    ChallengesService,
    ExpiredChallengePurger,
    SpentChallengePeriods,
    UserLimiter,
    DecoyShapes,
  ],
  exports: [ChallengesService, SpentChallengePeriods, UserHandleRepository],
})
export class ChallengesModule {}
