import { Injectable } from '@nestjs/common';
import { ChallengesService } from '../challenges/challenges.service.js';
import type { AssertionRules } from '../credentials/accept-authentication.js';
import { VerifyCredential } from '../credentials/verify-credential.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { digestCanonical } from '../tlog/canonical-json.js';
import { makeRequestOptions } from '../webauthn/options.js';
import { refuseUnless } from '../webauthn/refusal.js';
import { verifyAuthentication } from '../webauthn/verify-authentication.js';
import type { ConfirmTransactionDto, IssueConfirmationChallengeDto } from './dto/confirmation.dto.js';
import type { ConfirmationChallengeResponse, ConfirmedResponse } from './dto/confirmation.response.js';

/** Has a user confirm a transaction with a passkey. Of the transaction only its digest is kept. */
@Injectable()
export class ConfirmationsService {
  constructor(
    private readonly challenges: ChallengesService,
    private readonly verification: VerifyCredential,
  ) {}

  /** @throws Problem relying-party-unknown, relying-party-denied, rate-limited */
  async issue(
    context: AuthorizedContext,
    { rpId, userId, purpose, transaction }: IssueConfirmationChallengeDto,
  ): Promise<ConfirmationChallengeResponse> {
    const digest = digestCanonical(transaction);
    const terms = { rpId, userId, purpose, confirmation: { digest } };
    const { challenge, policy, allow, ...issued } = await this.challenges.issueForUser(context, terms);
    const publicKey = await makeRequestOptions({
      ...{ rpId, challenge, allow, hints: undefined },
      policy: { ...policy, userVerification: 'required' },
    });
    return { ...issued, publicKey, digest: digest.toString('base64url') };
  }

  /** @throws Problem challenge-spent, relying-party-denied, authentication-rejected */
  async confirm(context: AuthorizedContext, answer: ConfirmTransactionDto): Promise<ConfirmedResponse> {
    const digest = digestCanonical(answer.transaction);
    const { shown } = await this.verification.verify(context, answer, makeConfirmationRules(digest));
    return { ...shown, digest: digest.toString('base64url') };
  }
}

/** @param digest of the transaction that came with the answer */
function makeConfirmationRules(digest: Buffer): AssertionRules {
  return {
    ceremony: 'confirmation',
    type: 'confirmation.verify',
    demand: ({ confirmation }) => {
      refuseUnless(
        confirmation?.digest.equals(digest) === true,
        'transaction-mismatch',
        'the transaction is another one than that of the challenge',
      );
    },
    // Whoever confirms must be the user, whatever the policy says of a sign-in.
    verify: (response, expected) => verifyAuthentication(response, { ...expected, requireUserVerification: true }),
  };
}
