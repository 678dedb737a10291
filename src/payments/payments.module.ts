/**
 * Payments: proof that a user agreed to a payment on the page of a merchant (Secure Payment Confirmation).
 *
 *  1. payments.service.ts takes what the browser shall show, issues a challenge through src/challenges that holds all of
 *     it, and makes what `new PaymentRequest()` takes (src/webauthn/payment-options.ts).
 *  2. The answer is verified by src/credentials/verify-credential.ts, as a sign-in is, with the steps of
 *     src/webauthn/verify-payment.ts. A challenge for a payment is good for nothing else.
 *  3. browser-key-rules.ts judges the key of the browser, if it has one, by what the passkey remembers. A new key is remembered
 *     in the commit of the payment.
 *  4. Of the payment the log keeps digests, by which a stored answer can be shown to be the one that was verified.
 */
import { Module } from '@nestjs/common';
import { ChallengesModule } from '../challenges/challenges.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { ReceiptsModule } from '../receipts/receipts.module.js';
import { BrowserKeysController } from './browser-keys.controller.js';
import { BrowserKeysService } from './browser-keys.service.js';
import { PaymentsController } from './payments.controller.js';
import { PaymentsService } from './payments.service.js';

@Module({
  imports: [ChallengesModule, CredentialsModule, ReceiptsModule],
  controllers: [PaymentsController, BrowserKeysController],
  providers: [PaymentsService, BrowserKeysService],
})
export class PaymentsModule {}
