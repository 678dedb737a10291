import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { ChallengeRepository } from './challenge.repository.js';
import { ChallengeEntity } from './challenge.entity.js';
import { ChallengesController } from './challenges.controller.js';
import { ChallengesService } from './challenges.service.js';
import { DecoyShapes } from './decoy-shapes.js';
import { ExpiredChallengePurger } from './expired-challenge-purger.js';
import { UserHandleEntity } from './user-handle.entity.js';
import { UserHandleRepository } from './user-handle.repository.js';
import { UserLimiter } from './user-limiter.js';

@Module({
  imports: [TypeOrmModule.forFeature([ChallengeEntity, UserHandleEntity]), RelyingPartiesModule],
  controllers: [ChallengesController],
  providers: [
    ChallengeRepository,
    UserHandleRepository,
    ChallengesService,
    ExpiredChallengePurger,
    UserLimiter,
    DecoyShapes,
  ],
  exports: [ChallengesService, UserHandleRepository],
})
export class ChallengesModule {}
