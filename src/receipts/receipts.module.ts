/**
 * Receipts: signed statements that a user has just used a passkey, for services that do not call this one (docs/receipts.md).
 *
 *  1. receipts.service.ts checks the audience before a ceremony is verified, and signs the receipt after its commit.
 *     dto/receipt-request.dto.ts is what a caller asks for.
 *  2. assurance.ts says in the words of OpenID Connect (`acr`, `amr`) how sure the ceremony makes it.
 *  3. receipt-keys.ts watches PASSKEY_RECEIPT_KEY_FILE, which read-receipt-keys.ts reads. receipts.controller.ts publishes the
 *     public keys.
 */
import { Module } from '@nestjs/common';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { ReceiptKeys } from './receipt-keys.js';
import { ReceiptsController } from './receipts.controller.js';
import { Receipts } from './receipts.service.js';

@Module({
  imports: [AuthenticatorsModule],
  controllers: [ReceiptsController],
  providers: [ReceiptKeys, Receipts],
  exports: [ReceiptKeys, Receipts],
})
export class ReceiptsModule {}
