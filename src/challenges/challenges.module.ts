/**
 * Challenges: what a ceremony begins with.
 *
 *  1. challenges.service.ts takes the request and applies the policy for its purpose. policy-demands.ts demands that the
 *     caller identified the user before a registration (identity-proof.ts), and the last sign-in that a purpose asks for
 *     (sign-in-age.ts). challenges.service.ts makes the options of src/webauthn/options.ts.
 *  2. challenge.repository.ts reads what the options need, and descriptors.ts makes the list of passkeys from that.
 *     user-limiter.ts refuses a challenge over a limit of the user (challenge-pace.ts, and user-limits.repository.ts, which
 *     has the rules).
 *  3. challenge-seal.ts seals the challenge. The caller gets it and sends it back with the answer, so nothing is stored.
 *     challenge-counts.ts reports once a minute how many were issued.
 *  4. A user without passkeys is shown decoys (decoy.ts), whose shapes are those of real lists (decoy-shapes.ts).
 *  5. src/credentials/answer.repository.ts spends a challenge with its outcome. spent-challenge-periods.ts makes and drops
 *     the partitions of the table of spent ids. expired-challenge-purger.ts deletes the challenges that replicas of the
 *     previous version stored.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { ChallengeCounts } from './challenge-counts.js';
import { ChallengePace } from './challenge-pace.js';
import { ChallengeRepository } from './challenge.repository.js';
import { ChallengeSeal } from './challenge-seal.js';
import { ChallengesController } from './challenges.controller.js';
import { ChallengesService } from './challenges.service.js';
import { DecoyShapes } from './decoy-shapes.js';
import { ExpiredChallengePurger } from './expired-challenge-purger.js';
import { PolicyDemands } from './policy-demands.js';
import { SpentChallengePeriods } from './spent-challenge-periods.js';
import { UserHandleEntity } from './user-handle.entity.js';
import { UserHandleRepository } from './user-handle.repository.js';
import { UserLimiter } from './user-limiter.js';

@Module({
  imports: [TypeOrmModule.forFeature([UserHandleEntity]), RelyingPartiesModule],
  controllers: [ChallengesController],
  providers: [
    ChallengeCounts,
    ChallengePace,
    ChallengeRepository,
    ChallengeSeal,
    UserHandleRepository,
    ChallengesService,
    ExpiredChallengePurger,
    PolicyDemands,
    SpentChallengePeriods,
    UserLimiter,
    DecoyShapes,
  ],
  exports: [ChallengeCounts, ChallengeSeal, ChallengesService, SpentChallengePeriods, UserHandleRepository],
})
export class ChallengesModule {}
