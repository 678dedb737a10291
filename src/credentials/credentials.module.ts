import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { ChallengesModule } from '../challenges/challenges.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { AnswerRepository } from './answer.repository.js';
import { BindingKeyCheck } from './binding-key-check.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { CredentialRepository } from './credential.repository.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import { RegisterCredential } from './register-credential.js';
import { UnknownCredentialCheck } from './unknown-credential-check.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';
import { VerifyCredential } from './verify-credential.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([CredentialEntity, UserHandleEntity]),
    AuthenticatorsModule,
    ChallengesModule,
    RelyingPartiesModule,
  ],
  controllers: [CredentialsController, UsersController],
  providers: [
    AnswerRepository,
    BindingKeyCheck,
    CredentialBindings,
    CredentialRepository,
    CredentialsService,
    RefusedAnswerRecorder,
    RegisterCredential,
    UnknownCredentialCheck,
    UsersService,
    VerifyCredential,
  ],
})
export class CredentialsModule {}
