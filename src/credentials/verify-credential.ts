import { Inject, Injectable } from '@nestjs/common';
import type {
  AuthenticationExpectation,
  AuthenticationResponseJSON,
  VerifiedAuthentication,
} from '../webauthn/verify-authentication.js';
import { RiskSignals } from '../access/risk-signals.js';
import { UserSeals } from '../audit/user-seals.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { demandRecentSignIn, hasMaxAge } from '../challenges/sign-in-age.js';
import { ChallengeSeal } from '../challenges/challenge-seal.js';
import { type Ceremony, type Challenge, getCeremony, getPolicyPurpose } from '../challenges/challenge.js';
import {
  AcceptAuthentication,
  type AssertionRules,
  type AuthenticationCeremony,
  demandActive,
} from './accept-authentication.js';
import { AnswerRepository } from './answer.repository.js';
import { readCredential, readUser } from './loaded-answer.repository.js';
import { EnrolledCredentials } from '../relying-parties/enrolled-credentials.js';
import { applyPurpose } from '../relying-parties/purposes.js';
import { RelyingPartyCopies, denyUnknown } from '../relying-parties/relying-party-copies.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { ADVICE, Refusal, refuseUnless, step } from '../webauthn/refusal.js';
import { demandAllowedModel, demandAttestation } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import type { CredentialEntity } from './credential.entity.js';
import { demandHeldHandle } from '../challenges/held-handle.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import { SuccessorPasskeys } from './successor-passkeys.js';
import { UnknownCredentialCheck } from './unknown-credential-check.js';
import type { AuthenticationResponseDto } from './dto/ceremony-answer.dto.js';
import type { VerifiedResponse } from './dto/credential.response.js';

/** The answer to a challenge for an assertion, as the caller sends it. */
interface AssertionAnswer {
  readonly challengeId: string;
  readonly response: AuthenticationResponseDto;
}

interface VerifiedAnswer<Verified> {
  readonly verified: Verified;
  /** What the caller is told. */
  readonly shown: VerifiedResponse;
}

/**
 * Ends a ceremony with an assertion: opens the challenge, verifies the answer (WebAuthn L3 §7.2), and has the new state of
 * the credential stored.
 */
@Injectable()
export class VerifyCredential {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly seal: ChallengeSeal,
    private readonly answers: AnswerRepository,
    private readonly parties: RelyingPartyCopies,
    private readonly bindings: CredentialBindings,
    private readonly users: UserSeals,
    private readonly authenticators: AuthenticatorsService,
    private readonly refused: RefusedAnswerRecorder,
    private readonly acceptance: AcceptAuthentication,
    private readonly risks: RiskSignals,
    private readonly unknown: UnknownCredentialCheck,
    private readonly enrolled: EnrolledCredentials,
    private readonly successors: SuccessorPasskeys,
  ) {}

  /** @throws Problem challenge-spent, relying-party-denied, authentication-rejected, policy-rejected */
  async verify<Verified extends VerifiedAuthentication>(
    context: AuthorizedContext,
    answer: AssertionAnswer,
    rules: AssertionRules<Verified>,
  ): Promise<VerifiedAnswer<Verified>> {
    const { response } = answer;
    let challenge: Challenge | undefined;
    let named: CredentialEntity | undefined;
    let uid: string | null | undefined;
    try {
      challenge = this.seal.open(context, answer.challengeId);
      demandCeremony(challenge, rules);
      const credentialId = Buffer.from(response.id, 'base64url');
      const loaded = await this.answers.load({ challenge, credentialId });
      if (!loaded) throw new Problem('relying-party-denied');
      named = readCredential(loaded);
      // The challenge may be for another user than the owner of the credential, whose pseudonym was loaded.
      const user = await this.users.keepGenuine(context, readUser(loaded, challenge));
      if (!named || named.userId === (challenge.userId ?? named.userId)) uid = user?.auditUid ?? null;
      const party = await this.parties.getSealed(challenge.rpId, loaded.party_seal).catch(denyUnknown);
      const policy = applyPurpose(party.policy, getPolicyPurpose(challenge));
      const ceremony = { ...challenge, origins: party.origins, policy, user };
      const credential = await this.demandUsableCredential(context, ceremony, named, response);
      const { rpId, publicKey, backupEligible } = credential;
      const expected: AuthenticationExpectation = {
        rpId,
        origins: ceremony.origins,
        crossOrigin: ceremony.policy.crossOrigin,
        challenge: ceremony.challenge,
        requireUserVerification: ceremony.policy.userVerification === 'required',
        allowBackupGrowth: ceremony.policy.backupEligibilityChange === 'accept-growth',
        credential: { credentialId: credential.credentialId, publicKey, backupEligible },
      };
      const verified = rules.verify(response as AuthenticationResponseJSON, expected, challenge);
      await this.demandSignIn(context, ceremony, credential);
      const outcome = {
        ...rules,
        userHandle: response.response.userHandle || undefined,
        settle: (current: CredentialEntity) => rules.settle?.(current, verified, policy),
      };
      const [shown, migration] = await Promise.all([
        this.acceptance.accept(context, ceremony, credential, verified, outcome),
        this.successors.find(context, party, credential.userId),
      ]);
      return { verified, shown: migration ? { ...shown, migration } : shown };
    } catch (error) {
      const problem = error instanceof Refusal ? await this.toRejection(context, error, answer, challenge) : error;
      const refused = {
        type: rules.type,
        credentialId: response.id,
        challenge,
        credential: named,
        uid,
      } as const;
      const answered = await this.refused.record(context, problem, { ...refused, error });
      const counts = answered === problem && error instanceof Refusal && error.reason === 'sign-count-regressed';
      if (counts) this.risks.countSignCountRegression();
      throw answered;
    }
  }

  /**
   * Checks that the credential that the answer names may be used: its integrity, §7.2 step 6, its status and its model.
   *
   * @throws Refusal
   */
  private async demandUsableCredential(
    context: AuthorizedContext,
    ceremony: AuthenticationCeremony,
    credential: CredentialEntity | undefined,
    { response }: AuthenticationResponseDto,
  ): Promise<CredentialEntity> {
    refuseUnless(credential !== undefined, 'credential-unknown', 'the relying party has no passkey with this id');
    await this.bindings.demandGenuine(context, credential);
    step('§7.2', 6, () => {
      demandUser(ceremony, credential, response.userHandle || undefined);
    });
    demandActive(credential);
    demandAllowedModel(ceremony.policy.authenticators, credential.aaguid, this.authenticators, this.clock.now());
    demandAttestation(ceremony.policy.admission, credential);
    return credential;
  }

  /** @throws Problem policy-rejected */
  private async demandSignIn(
    context: AuthorizedContext,
    { policy }: AuthenticationCeremony,
    { rpId, userId }: CredentialEntity,
  ): Promise<void> {
    if (!hasMaxAge(policy)) return;
    demandRecentSignIn(await this.enrolled.listPasskeys(context, rpId, userId), policy, this.clock.now());
  }

  /** Adds the signal to forget the credential only if it is certain that the credential does not exist. */
  private async toRejection(
    context: AuthorizedContext,
    { reason, detail, member }: Refusal,
    { response }: AssertionAnswer,
    challenge: Challenge | undefined,
  ): Promise<Problem> {
    const members = { reason, detail, advice: ADVICE[reason], ...(member && { member }) };
    if (reason === 'credential-unknown' && challenge && (await this.unknown.isUnknown(context, challenge, response))) {
      const signal = { unknownCredential: { rpId: challenge.rpId, credentialId: response.id } };
      return new Problem('authentication-rejected', { ...members, signal });
    }
    return new Problem('authentication-rejected', members);
  }
}

/** @throws Refusal ceremony-mismatch, and what the rules of the ceremony demand */
function demandCeremony(challenge: Challenge, rules: Pick<AssertionRules, 'ceremony' | 'demand'>): void {
  const issued = getCeremony(challenge);
  refuseUnless(
    issued === rules.ceremony,
    'ceremony-mismatch',
    `the challenge was issued for ${NAMES[issued]}, and this is ${NAMES[rules.ceremony]}`,
  );
  rules.demand(challenge);
}

const NAMES: Readonly<Record<Ceremony, string>> = {
  registration: 'a registration',
  authentication: 'an authentication',
  confirmation: 'a confirmation',
  payment: 'a payment',
};

/**
 * Checks that the credential belongs to the user of the challenge. If the challenge is for any user, the answer must
 * carry the user handle.
 *
 * @throws Refusal
 */
function demandUser(
  { userId: challenged, user }: AuthenticationCeremony,
  credential: CredentialEntity,
  userHandle: string | undefined,
): void {
  refuseUnless(
    challenged === undefined || challenged === credential.userId,
    'credential-not-allowed',
    'the challenge was issued for another user than the owner of the passkey',
  );
  const told = userHandle !== undefined || challenged !== undefined;
  refuseUnless(
    told,
    'user-handle-mismatch',
    'neither the answer nor the challenge names a user, so the owner of the passkey cannot be checked',
  );
  refuseUnless(
    user !== undefined,
    'user-handle-mismatch',
    'the record of the passkey’s user is missing, or was changed by something other than this service',
  );
  demandHeldHandle(credential, user, userHandle);
}
