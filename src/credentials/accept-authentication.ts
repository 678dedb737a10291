import { Injectable, Inject } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { RiskSignals } from '../access/risk-signals.js';
import { AuditService } from '../audit/audit.service.js';
import type { SealedUser } from '../audit/sealed-user.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { ChallengeCounts } from '../challenges/challenge-counts.js';
import { type AssertionCeremony, type Challenge, describeChallenge, getCeremony } from '../challenges/challenge.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { type AppliedPolicy, isAdmitted } from '../relying-parties/purposes.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { refuseUnless, step } from '../webauthn/refusal.js';
import type {
  AuthenticationExpectation,
  AuthenticationResponseJSON,
  VerifiedAuthentication,
} from '../webauthn/verify-authentication.js';
import { AnswerRepository } from './answer.repository.js';
import { demandBackup } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import { describeClone } from './credential-signals.js';
import { CredentialEntity } from './credential.entity.js';
import { demandHeldHandle, learnHeldHandle } from '../challenges/held-handle.js';
import { CredentialResponse, type VerifiedResponse } from './dto/credential.response.js';

/** A challenge with what its answer is checked against. */
export type AuthenticationCeremony = Challenge & {
  /** The owner of the credential; undefined: the row is missing, or was changed by something other than this service. */
  readonly user: SealedUser | undefined;
  /** The policy for the purpose of the challenge. */
  readonly policy: AppliedPolicy;
} & Pick<RelyingPartyEntity, 'origins'>;

/** What the ceremonies that end with an assertion do not have in common. */
export interface AssertionRules<Verified extends VerifiedAuthentication = VerifiedAuthentication> {
  readonly ceremony: AssertionCeremony;
  /** The event of its outcome. */
  readonly type: 'credential.verify' | 'confirmation.verify' | 'payment.verify';
  /** Demands of the challenge what only this ceremony has. @throws Refusal */
  demand(challenge: Challenge): void;
  /** @throws Refusal */
  verify(response: AuthenticationResponseJSON, expected: AuthenticationExpectation, challenge: Challenge): Verified;
  /**
   * Decides, once the answer is verified, what only this ceremony decides. It runs again if the credential has changed meanwhile.
   *
   * @throws Refusal
   */
  settle?(credential: CredentialEntity, verified: Verified, policy: RelyingPartyPolicy): Settled;
}

export interface Settled {
  /** What the credential is to remember of browser-bound keys, together with the outcome; undefined: what it does already. */
  readonly browserKeys: string | undefined;
  /** Further facts of the event of its success. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Further observations that do not refuse the user. */
  readonly risks: readonly string[];
}

type AssertionOutcome = Pick<AssertionRules, 'ceremony' | 'type'> & {
  /** The user handle in the answer, base64url. */
  readonly userHandle: string | undefined;
  /** @throws Refusal */
  readonly settle: (credential: CredentialEntity) => Settled | undefined;
};

/** Each attempt that fails means that another use or change of the passkey has succeeded. */
const MAX_ATTEMPTS = 10;

/** Stores the new state of a credential whose answer is verified. */
@Injectable()
export class AcceptAuthentication {
  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly answers: AnswerRepository,
    private readonly bindings: CredentialBindings,
    private readonly authenticators: AuthenticatorsService,
    private readonly counts: ChallengeCounts,
    private readonly audit: AuditService,
    private readonly risks: RiskSignals,
  ) {}

  /**
   * Spends the challenge, updates the credential and records the event in one compare-and-set statement (§7.2 step 22
   * and after).
   *
   * @throws Refusal; Problem challenge-spent
   */
  async accept(
    context: AuthorizedContext,
    ceremony: AuthenticationCeremony,
    credential: CredentialEntity,
    verified: VerifiedAuthentication,
    outcome: AssertionOutcome,
  ): Promise<VerifiedResponse> {
    // The passkey may have become backup eligible, so its new state counts.
    demandBackup(ceremony.policy.backup, verified.backupEligible);
    let current = credential;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const accepted = await this.tryAccept(context, ceremony, current, verified, outcome);
      if (accepted) return accepted;
      current = await step('§7.2', 22, () => this.reload(context, ceremony, current, verified, outcome));
    }
    throw new Problem('unavailable', { retryAfter: 1, detail: 'the passkey changes all the time' });
  }

  /** @returns undefined: the credential is not as given any more, and nothing was changed */
  private async tryAccept(
    context: AuthorizedContext,
    ceremony: AuthenticationCeremony,
    credential: CredentialEntity,
    { signCount, backupEligible, backedUp, userVerified }: VerifiedAuthentication,
    { type, ceremony: answered, userHandle: told, settle }: AssertionOutcome,
  ): Promise<VerifiedResponse | undefined> {
    const now = this.clock.now();
    const { purpose, policy, user } = ceremony;
    const { rpId, userId, id } = credential;
    const flag = policy.signCountRegression === 'flag';
    const grown = backupEligible && credential.backupEligible === false;
    const userHandle = user ? learnHeldHandle(credential, user, told) : credential.userHandle;
    const lastSignInAt = countsAsSignIn(ceremony, { userVerified, backupEligible }) ? now : credential.lastSignInAt;
    const { browserKeys, facts, risks: settled = [] } = settle(credential) ?? {};
    const keys = browserKeys ?? credential.browserKeys;
    const use = { signCount, backupEligible, lastSignInAt, browserKeys: keys, userHandle };
    const { version, bindingMac } = this.sealUsed(credential, use);
    const isSuspect = flag && hasRegressed(credential.signCount, signCount);
    const risks = [
      ...(isSuspect ? ['sign-count-regressed'] : []),
      ...(grown ? ['backup-eligibility-changed'] : []),
      ...settled,
    ];
    const event = this.audit.createRow(
      context,
      {
        type,
        outcome: 'success',
        rpId,
        userId,
        userVerified,
        credential: { id, credentialId: credential.credentialId.toString('base64url') },
        facts: {
          ...describeChallenge(ceremony),
          ...facts,
          sign_count: signCount,
          backed_up: backedUp,
          risks,
          backup_eligible_learned: credential.backupEligible === null ? backupEligible : undefined,
          user_handle_learned: userHandle === credential.userHandle ? undefined : true,
          credential_version: version === credential.version ? undefined : version,
        },
      },
      user?.auditUid,
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
      lastSignInAt,
      browserKeys,
      userHandle,
      now,
      flag,
      event,
      signal: isSuspect ? describeClone(context, credential, now) : undefined,
    });
    if (accepted === undefined) return undefined;
    this.audit.countEvent(event);
    this.counts.countAnswered(rpId, context.caller.spiffeId, answered);
    if (isSuspect) this.risks.countSignCountRegression();
    const current = Object.assign(credential, {
      signCount: accepted,
      backupEligible,
      backedUp,
      version,
      bindingMac,
      lastUsedAt: now,
      lastSignInAt,
    });
    const shown = CredentialResponse.of(current, this.authenticators.findLabel(current.aaguid));
    return {
      verified: true,
      rpId,
      userId,
      purpose: purpose ?? null,
      userVerified,
      credential: Object.assign(shown, { backupEligible }),
      risks,
      verifiedAt: now,
      auditId: event.id,
    };
  }

  /** Seals the credential as the use leaves it. Most uses change nothing that the seal covers. */
  private sealUsed(
    credential: CredentialEntity,
    {
      signCount: received,
      backupEligible,
      lastSignInAt,
      browserKeys,
      userHandle,
    }: Pick<CredentialEntity, 'signCount' | 'backupEligible' | 'lastSignInAt' | 'browserKeys' | 'userHandle'>,
  ): CredentialEntity {
    const signCount = Math.max(credential.signCount, received);
    const isSame = signCount === credential.signCount && lastSignInAt === credential.lastSignInAt;
    const isLearned = backupEligible !== credential.backupEligible || userHandle !== credential.userHandle;
    const isVersion = isLearned || browserKeys !== credential.browserKeys;
    if (!isVersion && isSame && !this.bindings.isOld(credential)) return credential;
    const used = Object.assign(new CredentialEntity(), credential, {
      signCount,
      backupEligible,
      lastSignInAt,
      browserKeys,
      userHandle,
    });
    if (isVersion) used.version += 1;
    return this.bindings.seal(used);
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
    ceremony: AuthenticationCeremony,
    { rpId, id }: CredentialEntity,
    { signCount, backupEligible }: VerifiedAuthentication,
    { userHandle }: AssertionOutcome,
  ): Promise<CredentialEntity> {
    const current = await this.credentials.findOneBy({ rpId, id });
    refuseUnless(current !== null, 'credential-unknown', 'the passkey was erased while the answer was verified');
    await this.bindings.demandGenuine(context, current);
    demandActive(current);
    refuseUnless(
      ceremony.policy.signCountRegression === 'flag' || !hasRegressed(current.signCount, signCount),
      'sign-count-regressed',
      `the signature counter is ${String(signCount)}; it was ${String(current.signCount)} before, and must grow`,
    );
    const mayGrow = ceremony.policy.backupEligibilityChange === 'accept-growth';
    refuseUnless(
      [null, backupEligible].includes(current.backupEligible) || (backupEligible && mayGrow),
      'backup-eligibility-changed',
      'while the answer was verified, another one told whether the passkey is backup eligible, and this one says otherwise',
    );
    if (ceremony.user) demandHeldHandle(current, ceremony.user, userHandle);
    return current;
  }
}

/** @throws Refusal */
export function demandActive({ status, statusReason }: CredentialEntity): void {
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

/**
 * True if a purpose of the relying party asks for the last sign-in, and this is one: an authentication, for whatever purpose,
 * that also meets what the policy alone demands. A confirmation is none.
 */
function countsAsSignIn(
  ceremony: AuthenticationCeremony,
  { userVerified, backupEligible }: Pick<VerifiedAuthentication, 'userVerified' | 'backupEligible'>,
): boolean {
  const { alone, keepsSignIns } = ceremony.policy;
  if (!keepsSignIns || getCeremony(ceremony) !== 'authentication') return false;
  const isVerified = userVerified || alone.userVerification !== 'required';
  return isVerified && isAdmitted({ backup: alone.backup, attestation: 'any' }, { backupEligible, trusted: false });
}

/** True if the sign count does not grow although the authenticator counts (WebAuthn L3 §6.1.1). */
function hasRegressed(stored: number, received: number): boolean {
  return (stored !== 0 || received !== 0) && received <= stored;
}
