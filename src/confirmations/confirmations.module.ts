/**
 * Confirmations: proof that a user agreed to a transaction, by any passkey.
 *
 *  1. transaction.ts checks what the caller showed to the user. Its digest (RFC 8785) goes into the sealed challenge, so nothing
 *     of the transaction is stored.
 *  2. confirmations.service.ts issues the challenge through src/challenges, and has the answer verified by
 *     src/credentials/verify-credential.ts, as a sign-in is. A challenge for one of them is good for no other.
 */
import { Module } from '@nestjs/common';
import { ChallengesModule } from '../challenges/challenges.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { ReceiptsModule } from '../receipts/receipts.module.js';
import { ConfirmationsController } from './confirmations.controller.js';
import { ConfirmationsService } from './confirmations.service.js';

@Module({
  imports: [ChallengesModule, CredentialsModule, ReceiptsModule],
  controllers: [ConfirmationsController],
  providers: [ConfirmationsService],
})
export class ConfirmationsModule {}
