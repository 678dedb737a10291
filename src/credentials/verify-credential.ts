import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  type AuthenticationResponseJSON,
  type VerifiedAuthentication,
  verifyAuthentication,
} from '../webauthn/verify-authentication.js';
import { Repository } from 'typeorm';
import { RiskSignals } from '../access/risk-signals.js';
import { AuditService } from '../audit/audit.service.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { ChallengeCounts } from '../challenges/challenge-counts.js';
import { ChallengeSeal } from '../challenges/challenge-seal.js';
import { type Challenge, describeChallenge } from '../challenges/challenge.js';
import { AnswerRepository } from './answer.repository.js';
import { type LoadedAnswer, readCredential } from './loaded-answer.repository.js';
import { RelyingPartyCopies, denyUnknown } from '../relying-parties/relying-party-copies.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { ADVICE, Refusal, refuseUnless, step } from '../webauthn/refusal.js';
import { demandAllowedModel, demandBackup } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import { UnknownCredentialCheck } from './unknown-credential-check.js';
import type { AuthenticationResponseDto, VerifyAuthenticationDto } from './dto/ceremony-answer.dto.js';
import { CredentialResponse, type VerifiedResponse } from './dto/credential.response.js';

/** A passkey rarely changes while an answer is verified. */
const MAX_ATTEMPTS = 3;

/** A challenge with what its answer is checked against. */
type Ceremony = Challenge & Pick<LoadedAnswer, 'handle' | 'audit_uid'> & Pick<RelyingPartyEntity, 'origins' | 'policy'>;

/**
 * Ends an authentication: opens the challenge, verifies the answer (WebAuthn L3 §7.2) and stores the new state of the
 * credential.
 */
@Injectable()
export class VerifyCredential {
  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly seal: ChallengeSeal,
    private readonly answers: AnswerRepository,
    private readonly parties: RelyingPartyCopies,
    private readonly bindings: CredentialBindings,
    private readonly authenticators: AuthenticatorsService,
    private readonly refused: RefusedAnswerRecorder,
    private readonly counts: ChallengeCounts,
    private readonly audit: AuditService,
    private readonly risks: RiskSignals,
    private readonly unknown: UnknownCredentialCheck,
  ) {}

  /** @throws Problem challenge-spent, relying-party-denied, authentication-rejected */
  async verify(context: AuthorizedContext, answer: VerifyAuthenticationDto): Promise<VerifiedResponse> {
    const { response } = answer;
    let challenge: Challenge | undefined;
    let named: CredentialEntity | undefined;
    let uid: string | null | undefined;
    try {
      challenge = this.seal.open(context, answer.challengeId);
      demandAuthenticationCeremony(challenge, answer.purpose);
      const credentialId = Buffer.from(response.id, 'base64url');
      const loaded = await this.answers.load({ challenge, credentialId });
      if (!loaded) throw new Problem('relying-party-denied');
      named = readCredential(loaded);
      // The challenge may be for another user than the owner of the credential, whose pseudonym was loaded.
      if (!named || named.userId === (challenge.userId ?? named.userId)) uid = loaded.audit_uid;
      const { origins, policy } = await this.parties.getSealed(challenge.rpId, loaded.party_seal).catch(denyUnknown);
      const { handle, audit_uid } = loaded;
      const ceremony = { ...challenge, origins, policy, handle, audit_uid };
      const credential = await this.demandUsableCredential(context, ceremony, named, response);
      const { rpId, publicKey, backupEligible } = credential;
      const verified = verifyAuthentication(response as AuthenticationResponseJSON, {
        rpId,
        origins: ceremony.origins,
        crossOrigin: ceremony.policy.crossOrigin,
        challenge: ceremony.challenge,
        requireUserVerification: ceremony.policy.userVerification === 'required',
        allowBackupGrowth: ceremony.policy.backupEligibilityChange === 'accept-growth',
        credential: { credentialId: credential.credentialId, publicKey, backupEligible },
      });
      return await this.acceptAuthentication(context, ceremony, credential, verified);
    } catch (error) {
      const problem = error instanceof Refusal ? await this.toRejection(context, error, answer, challenge) : error;
      const refused = {
        type: 'credential.verify',
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
    ceremony: Ceremony,
    credential: CredentialEntity | undefined,
    { response }: AuthenticationResponseDto,
  ): Promise<CredentialEntity> {
    refuseUnless(credential !== undefined, 'credential-unknown', 'the relying party has no passkey with this id');
    await this.demandGenuine(context, credential);
    step('§7.2', 6, () => {
      demandUser(ceremony, credential, response.userHandle || undefined);
    });
    demandActive(credential);
    demandAllowedModel(ceremony.policy.authenticators, credential.aaguid, this.authenticators, this.clock.now());
    return credential;
  }

  /**
   * Spends the challenge, updates the credential and records the event in one compare-and-set statement (§7.2 step 22
   * and after).
   *
   * @throws Refusal; Problem challenge-spent
   */
  private async acceptAuthentication(
    context: AuthorizedContext,
    ceremony: Ceremony,
    credential: CredentialEntity,
    verified: VerifiedAuthentication,
  ): Promise<VerifiedResponse> {
    // The passkey may have become backup eligible, so its new state counts.
    demandBackup(ceremony.policy.backup, verified.backupEligible);
    let current = credential;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const accepted = await this.tryAccept(context, ceremony, current, verified);
      if (accepted) return accepted;
      current = await step('§7.2', 22, () => this.reload(context, ceremony, current, verified));
    }
    throw new Problem('unavailable', { retryAfter: 1, detail: 'the passkey changes all the time' });
  }

  /** @returns undefined: the credential is not as given any more, and nothing was changed */
  private async tryAccept(
    context: AuthorizedContext,
    ceremony: Ceremony,
    credential: CredentialEntity,
    { signCount, backupEligible, backedUp, userVerified }: VerifiedAuthentication,
  ): Promise<VerifiedResponse | undefined> {
    const now = this.clock.now();
    const { purpose, policy, audit_uid: uid } = ceremony;
    const { rpId, userId, id } = credential;
    const flag = policy.signCountRegression === 'flag';
    const grown = backupEligible && !credential.backupEligible;
    const { version, bindingMac } = this.sealUsed(credential, signCount, grown);
    const risks = [
      ...(flag && hasRegressed(credential.signCount, signCount) ? ['sign-count-regressed'] : []),
      ...(grown ? ['backup-eligibility-changed'] : []),
    ];
    const event = this.audit.createRow(
      context,
      {
        type: 'credential.verify',
        outcome: 'success',
        rpId,
        userId,
        userVerified,
        credential: { id, credentialId: credential.credentialId.toString('base64url') },
        facts: {
          ...describeChallenge(ceremony),
          sign_count: signCount,
          backed_up: backedUp,
          risks,
          credential_version: grown ? version : undefined,
        },
      },
      uid,
      now,
    );
    const accepted = await this.answers.acceptAuthentication({
      challengeId: ceremony.id,
      credential,
      signCount,
      backupEligible,
      backedUp,
      version,
      bindingMac,
      now,
      flag,
      event,
    });
    if (accepted === undefined) return undefined;
    this.audit.countEvent(event);
    this.counts.countAnswered(rpId, context.caller.spiffeId, 'authentication');
    if (risks.includes('sign-count-regressed')) this.risks.countSignCountRegression();
    const current = Object.assign(credential, {
      signCount: accepted,
      backupEligible,
      backedUp,
      version,
      bindingMac,
      lastUsedAt: now,
    });
    const shown = CredentialResponse.of(current, this.authenticators.findLabel(current.aaguid));
    return {
      verified: true,
      rpId,
      userId,
      purpose: purpose ?? null,
      userVerified,
      credential: shown,
      risks,
      verifiedAt: now,
      auditId: event.id,
    };
  }

  /** Seals the credential as the use leaves it. Most uses change nothing that the seal covers. */
  private sealUsed(credential: CredentialEntity, received: number, grown: boolean): CredentialEntity {
    const signCount = Math.max(credential.signCount, received);
    if (!grown && signCount === credential.signCount && !this.bindings.isOld(credential)) return credential;
    const used = Object.assign(new CredentialEntity(), credential, { signCount });
    if (grown) Object.assign(used, { backupEligible: true, version: credential.version + 1 });
    return this.bindings.seal(used);
  }

  /** Adds the signal to forget the credential only if it is certain that the credential does not exist. */
  private async toRejection(
    context: AuthorizedContext,
    { reason, detail }: Refusal,
    { response }: VerifyAuthenticationDto,
    challenge: Challenge | undefined,
  ): Promise<Problem> {
    const members = { reason, detail, advice: ADVICE[reason] };
    if (reason === 'credential-unknown' && challenge && (await this.unknown.isUnknown(context, challenge, response))) {
      const signal = { unknownCredential: { rpId: challenge.rpId, credentialId: response.id } };
      return new Problem('authentication-rejected', { ...members, signal });
    }
    return new Problem('authentication-rejected', members);
  }

  /**
   * Reads the credential again after the compare-and-set changed nothing: while the signature was verified, the status or
   * the sign count changed, or the row was sealed again.
   *
   * @returns the credential, if the answer may still be accepted
   * @throws Refusal
   */
  private async reload(
    context: AuthorizedContext,
    ceremony: Ceremony,
    { rpId, id }: CredentialEntity,
    { signCount, backupEligible }: VerifiedAuthentication,
  ): Promise<CredentialEntity> {
    const current = await this.credentials.findOneBy({ rpId, id });
    refuseUnless(current !== null, 'credential-unknown', 'the passkey was erased while the answer was verified');
    await this.demandGenuine(context, current);
    demandActive(current);
    refuseUnless(
      ceremony.policy.signCountRegression === 'flag' || !hasRegressed(current.signCount, signCount),
      'sign-count-regressed',
      `the signature counter is ${String(signCount)}; it was ${String(current.signCount)} before, and must grow`,
    );
    refuseUnless(
      !current.backupEligible || backupEligible,
      'backup-eligibility-changed',
      'the passkey became backup eligible while the answer was verified, and the answer says that it is not',
    );
    return current;
  }

  /** @throws Refusal */
  private async demandGenuine(context: AuthorizedContext, credential: CredentialEntity): Promise<void> {
    refuseUnless(
      await this.bindings.verifyRow(context, credential),
      'credential-unknown',
      'the record of the passkey was changed by something other than this service',
    );
  }
}

/** @throws Refusal ceremony-mismatch, purpose-mismatch */
function demandAuthenticationCeremony(challenge: Challenge, purpose: string | undefined): void {
  refuseUnless(
    challenge.registration === undefined,
    'ceremony-mismatch',
    'the challenge was issued for a registration, and this is an authentication',
  );
  refuseUnless(
    challenge.purpose === purpose,
    'purpose-mismatch',
    `the purpose is ${purpose ?? 'absent'}; the purpose of the challenge is ${challenge.purpose ?? 'absent'}`,
  );
}

/**
 * Checks that the credential belongs to the user of the challenge. If the challenge is for any user, the answer must
 * carry the user handle.
 *
 * @throws Refusal
 */
function demandUser(
  { userId: challenged, handle }: Ceremony,
  { userId }: CredentialEntity,
  userHandle: string | undefined,
): void {
  refuseUnless(
    challenged === undefined || challenged === userId,
    'credential-not-allowed',
    'the challenge was issued for another user than the owner of the passkey',
  );
  const told = userHandle !== undefined || challenged !== undefined;
  refuseUnless(
    told,
    'user-handle-mismatch',
    'neither the answer nor the challenge names a user, so the owner of the passkey cannot be checked',
  );
  const matches = userHandle === undefined || userHandle === handle?.toString('base64url');
  refuseUnless(matches, 'user-handle-mismatch', 'the user handle is not the one of the passkey’s user');
}

/** @throws Refusal */
function demandActive({ status, statusReason }: CredentialEntity): void {
  refuseUnless(
    status !== 'suspended',
    'credential-suspended',
    `the passkey is suspended${statusReason === null ? '' : `: ${statusReason}`}`,
  );
  refuseUnless(
    status !== 'revoked',
    'credential-revoked',
    `the passkey is revoked${statusReason === null ? '' : `: ${statusReason}`}`,
  );
}

/** True if the sign count does not grow although the authenticator counts (WebAuthn L3 §6.1.1). */
function hasRegressed(stored: number, received: number): boolean {
  return (stored !== 0 || received !== 0) && received <= stored;
}
