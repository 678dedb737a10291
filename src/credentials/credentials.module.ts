/**
 * Credentials (passkeys) from registration to erasure.
 *
 *  1. An answer comes in through credentials.controller.ts. register-credential.ts ends a registration,
 *     verify-credential.ts an authentication. src/webauthn verifies the answer, and authenticator-policy.ts decides on its
 *     model and its backup.
 *  2. answer.repository.ts loads what the answer is checked against. One statement of it spends the challenge and stores
 *     the outcome. accept-authentication.ts seals what a use changes, and tries again if the row has changed meanwhile.
 *  3. credential-bindings.ts seals each row with a MAC and finds rows that something else changed. credential-sample.ts
 *     shows operators if the oldest ones are among them.
 *  4. A refused answer is recorded by refused-answer-recorder.ts. unknown-credential-check.ts decides if the browser may
 *     be told to forget the passkey.
 *  5. credentials.service.ts reads, renames, suspends and revokes. users.service.ts lists and erases a user's passkeys,
 *     revoke-user.ts revokes them. The access policy can make an erasure wait for an approval (src/approvals).
 *  6. successor-passkeys.ts tells callers who has no passkey at the successor of a relying party yet.
 *  7. enrolled-models.ts answers relying parties who ask which passkeys a new policy would refuse.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ApprovalsModule } from '../approvals/approvals.module.js';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import { ChallengesModule } from '../challenges/challenges.module.js';
import { ReceiptsModule } from '../receipts/receipts.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { SignalsModule } from '../signals/signals.module.js';
import { AcceptAuthentication } from './accept-authentication.js';
import { AnswerRepository } from './answer.repository.js';
import { CredentialSample } from './credential-sample.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { CredentialRepository } from './credential.repository.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import { RegisterCredential } from './register-credential.js';
import { RevokeUser } from './revoke-user.js';
import { SuccessorPasskeys } from './successor-passkeys.js';
import { UnknownCredentialCheck } from './unknown-credential-check.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';
import { VerifyCredential } from './verify-credential.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([CredentialEntity, UserHandleEntity]),
    ApprovalsModule,
    AuthenticatorsModule,
    ChallengesModule,
    ReceiptsModule,
    RelyingPartiesModule,
    SignalsModule,
  ],
  controllers: [CredentialsController, UsersController],
  providers: [
    AcceptAuthentication,
    AnswerRepository,
    CredentialSample,
    CredentialBindings,
    CredentialRepository,
    CredentialsService,
    RefusedAnswerRecorder,
    RegisterCredential,
    RevokeUser,
    SuccessorPasskeys,
    UnknownCredentialCheck,
    UsersService,
    VerifyCredential,
  ],
  exports: [CredentialBindings, CredentialsService, VerifyCredential],
})
export class CredentialsModule {}
