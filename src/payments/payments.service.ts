import { Inject, Injectable } from '@nestjs/common';
import { type Challenge, digestCredentialId, type PaymentTerms } from '../challenges/challenge.js';
import { ChallengesService } from '../challenges/challenges.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AssertionRules } from '../credentials/accept-authentication.js';
import { readBrowserKeys, writeBrowserKey } from '../credentials/browser-keys.js';
import { VerifyCredential } from '../credentials/verify-credential.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { digestCanonical } from '../tlog/canonical-json.js';
import { digestPayment, normalizePayment, type Payment } from '../webauthn/payment-data.js';
import { makePaymentOptions } from '../webauthn/payment-options.js';
import { Metrics } from '../telemetry/metrics.js';
import { refuseUnless } from '../webauthn/refusal.js';
import { type VerifiedPayment, verifyPayment } from '../webauthn/verify-payment.js';
import { judgeBrowserKey, type JudgedBrowserKey } from './browser-key-rules.js';
import type { ConfirmPaymentDto, IssuePaymentChallengeDto } from './dto/payment.dto.js';
import type { PaidResponse, PaymentChallengeResponse } from './dto/payment.response.js';

/** Has a user confirm a payment on the page of a merchant, by Secure Payment Confirmation. Nothing of it is stored. */
@Injectable()
export class PaymentsService {
  constructor(
    private readonly challenges: ChallengesService,
    private readonly verification: VerifyCredential,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /** @throws Problem relying-party-unknown, relying-party-denied, rate-limited, request-malformed */
  async issue(
    context: AuthorizedContext,
    { rpId, userId, payment }: IssuePaymentChallengeDto,
  ): Promise<PaymentChallengeResponse> {
    const { callerOrigins, topOrigins } = payment;
    const shown = normalizePayment(payment);
    demandAnswerable(shown);
    const digest = digestCanonical(payment);
    const terms = { ...digestPayment(shown), callerOrigins, topOrigins, digest };
    const asked = { rpId, userId, purpose: undefined, payment: terms };
    const { challenge, policy, allow, ...issued } = await this.challenges.issueForUser(context, asked);
    const options = makePaymentOptions({
      ...{ rpId, challenge, payment: shown, ttlSeconds: policy.challengeTtlSeconds },
      credentialIds: allow.map(({ id }) => Buffer.from(id, 'base64url')),
    });
    return { ...issued, ...options, digest: digest.toString('base64url') };
  }

  /** @throws Problem challenge-spent, relying-party-denied, authentication-rejected */
  async confirm(context: AuthorizedContext, answer: ConfirmPaymentDto): Promise<PaidResponse> {
    let state: JudgedBrowserKey['state'];
    let risk: JudgedBrowserKey['risk'];
    const { shown, verified } = await this.verification.verify(context, answer, {
      ...PAYMENT_RULES,
      settle: (credential, { browserBoundKey, hashes }, { browserKeys: rule }) => {
        const thumbprint = browserBoundKey?.thumbprint.toString('base64url');
        const judged = judgeBrowserKey(readBrowserKeys(credential), thumbprint, rule);
        const { remember } = judged;
        ({ state, risk } = judged);
        const key = { browser_key: thumbprint, browser_key_state: state, browser_key_remembered: remember };
        return {
          browserKeys:
            thumbprint !== undefined && remember
              ? writeBrowserKey(credential, { thumbprint, state: remember }, this.clock.now())
              : undefined,
          facts: { ...describeHashes(hashes), ...key },
          risks: risk ? [risk] : [],
        };
      },
    });
    if (risk) this.metrics.browserKeyRisks.inc({ risk });
    const { digest, payment, callerOrigin, browserBoundKey: key } = verified;
    return {
      ...shown,
      digest: digest.toString('base64url'),
      payment: { ...payment, callerOrigin },
      browserKey: key && state ? { state, thumbprint: key.thumbprint.toString('base64url') } : null,
    };
  }
}

/**
 * The most that a browser can be asked to show, in bytes of JSON. The client data repeats all of it, and goes in base64url into
 * an answer of at most 64 KiB, beside a challengeId of 4 KiB, a signature and the key of the browser.
 */
const MAX_SHOWN_BYTES = 36_864;

/** Demands that the answer can be sent: without this the user agrees first, and then that fails. @throws Problem request-malformed */
function demandAnswerable(shown: Payment): void {
  const excess = Buffer.byteLength(JSON.stringify(shown)) - MAX_SHOWN_BYTES;
  if (excess <= 0) return;
  const detail = `is too long for its answer, by ${String(excess)} bytes: shorten its icon and logos`;
  throw new Problem('request-malformed', { invalid: [{ pointer: '/payment', detail }] });
}

type ConfirmedPayment = VerifiedPayment & Pick<PaymentTerms, 'digest'>;

const PAYMENT_RULES: AssertionRules<ConfirmedPayment> = {
  ceremony: 'payment',
  type: 'payment.verify',
  demand: () => undefined,
  verify: (response, expected, challenge) => {
    const terms = getTerms(challenge);
    const { credential } = expected;
    // The user may have registered another passkey since.
    const name = digestCredentialId(credential.credentialId);
    refuseUnless(
      terms.offered.some((each) => each.equals(name)),
      'credential-not-allowed',
      'the passkey is none of those that were offered for this payment',
    );
    return { ...verifyPayment(response, { ...expected, ...terms }), digest: terms.digest };
  },
};

/** What a stored answer can be recognised by. */
function describeHashes({
  clientData,
  authenticatorData,
  signature,
}: VerifiedPayment['hashes']): Record<string, string> {
  return {
    client_data_hash: clientData.toString('base64url'),
    authenticator_data_hash: authenticatorData.toString('base64url'),
    signature_hash: signature.toString('base64url'),
  };
}

/** A challenge of this ceremony has terms. */
function getTerms({ payment }: Challenge): PaymentTerms {
  if (!payment) throw new Error('the challenge is for no payment');
  return payment;
}
