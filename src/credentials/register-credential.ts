import { Inject, Injectable } from '@nestjs/common';
import {
  type RegistrationResponseJSON,
  type VerifiedRegistration,
  verifyRegistration,
} from '../webauthn/verify-registration.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import { AttestationRoots } from '../authenticators/attestation-roots.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { ChallengeCounts } from '../challenges/challenge-counts.js';
import { ChallengeSeal } from '../challenges/challenge-seal.js';
import {
  type Challenge,
  describeChallenge,
  getPolicyPurpose,
  type RegistrationTerms,
} from '../challenges/challenge.js';
import { selectTransports } from '../challenges/descriptors.js';
import { demandCredentialCapacity, getCredentialCapacity } from '../challenges/credential-capacity.js';
import { demandRegistrations } from '../challenges/demand-registrations.js';
import { demandRecentSignIn, hasMaxAge } from '../challenges/sign-in-age.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { makeUuidv7 } from '../config/random.js';
import { AnswerRepository } from './answer.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { EnrolledCredentials } from '../relying-parties/enrolled-credentials.js';
import { type AppliedPolicy, applyPurpose } from '../relying-parties/purposes.js';
import { RelyingPartyCopies, denyUnknown } from '../relying-parties/relying-party-copies.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { ADVICE, type Reason, Refusal, refuseUnless } from '../webauthn/refusal.js';
import { chooseUserVerification } from '../webauthn/options.js';
import { demandAllowedModel, demandBackup } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import { chooseName, type CredentialEntity } from './credential.entity.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import type { RegisterCredentialDto, RegistrationResponseDto } from './dto/ceremony-answer.dto.js';

/** A challenge for a registration, with the relying party whose policy the answer is checked against. */
interface Ceremony extends Pick<RelyingPartyEntity, 'origins' | 'version'> {
  /** For the purpose of the challenge. */
  readonly policy: AppliedPolicy;
  readonly challenge: Challenge & { readonly userId: string; readonly registration: RegistrationTerms };
}

/** The relying party can change while an answer is checked. Nobody changes it this often within a request. */
const MAX_CHECKS = 3;

/** Ends a registration: opens the challenge, verifies the answer (WebAuthn L3 §7.1) and stores the credential. */
@Injectable()
export class RegisterCredential {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly seal: ChallengeSeal,
    private readonly parties: RelyingPartyCopies,
    private readonly answers: AnswerRepository,
    private readonly bindings: CredentialBindings,
    private readonly authenticators: AuthenticatorsService,
    private readonly roots: AttestationRoots,
    private readonly refused: RefusedAnswerRecorder,
    private readonly counts: ChallengeCounts,
    private readonly audit: AuditService,
    private readonly enrolled: EnrolledCredentials,
  ) {}

  /** @throws Problem challenge-spent, registration-rejected, policy-rejected, credential-exists */
  async register(context: AuthorizedContext, answer: RegisterCredentialDto): Promise<CredentialEntity> {
    let challenge: Challenge | undefined;
    try {
      challenge = this.seal.open(context, answer.challengeId);
      let party = await this.getParty(challenge.rpId);
      for (let check = 1; check <= MAX_CHECKS; check += 1) {
        const checked = await this.check(context, challenge, party, answer);
        if (checked && !(checked instanceof Error)) return checked;
        this.parties.forget(challenge.rpId);
        const present = await this.getParty(challenge.rpId);
        if (checked && present.version === party.version) throw checked;
        party = present;
      }
      throw new Problem('unavailable', { retryAfter: 1, detail: 'the relying party changes all the time' });
    } catch (error) {
      const problem = error instanceof Refusal ? toRejection(error) : error;
      const { response } = answer;
      const uid = challenge?.registration?.uid;
      const refused = { type: 'credential.register', credentialId: response.id, challenge, uid } as const;
      throw await this.refused.record(context, problem, { ...refused, error });
    }
  }

  /** @returns a refusal by this version of the relying party; undefined: it has changed, and nothing was stored */
  private async check(
    context: AuthorizedContext,
    challenge: Challenge,
    party: RelyingPartyEntity,
    answer: RegisterCredentialDto,
  ): Promise<CredentialEntity | Refusal | Problem | undefined> {
    try {
      const ceremony = demandRegistrationCeremony(challenge, party);
      demandRegistrations(party);
      const verified = this.verify(answer.response, ceremony);
      await this.demandSignIn(context, ceremony);
      return await this.store(context, ceremony, this.draftCredential(context, ceremony, answer, verified), verified);
    } catch (error) {
      const isByPolicy = error instanceof Problem && error.slug === 'policy-rejected';
      if (isByPolicy || error instanceof Refusal) return error;
      throw error;
    }
  }

  /** @throws Problem relying-party-denied */
  private async getParty(rpId: string): Promise<RelyingPartyEntity> {
    return this.parties.getEnabled(rpId).catch(denyUnknown);
  }

  /** @throws Problem policy-rejected */
  private async demandSignIn(context: AuthorizedContext, { policy, challenge }: Ceremony): Promise<void> {
    if (!hasMaxAge(policy)) return;
    const passkeys = await this.enrolled.listPasskeys(context, challenge.rpId, challenge.userId);
    demandRecentSignIn(passkeys, policy, this.clock.now());
  }

  private verify(response: RegistrationResponseDto, ceremony: Ceremony): VerifiedRegistration {
    const { policy, challenge } = ceremony;
    const { registration } = challenge;
    const verified = verifyRegistration(response as RegistrationResponseJSON, {
      rpId: challenge.rpId,
      origins: ceremony.origins,
      crossOrigin: policy.crossOrigin,
      challenge: challenge.challenge,
      conditional: registration.conditional,
      requireUserVerification: chooseUserVerification(policy, registration) === 'required',
      algorithms: policy.algorithms,
      formats: policy.attestation.formats,
      roots: (format, aaguid) => [...this.roots.listRoots(format), ...this.authenticators.listRoots(aaguid)],
      allowSha1Tpm: policy.allowSha1Tpm,
      now: this.clock.now(),
    });
    this.roots.countAttestation(verified.attestation);
    demandAllowedModel(policy.authenticators, verified.aaguid, this.authenticators, this.clock.now());
    demandPolicy(response, verified, ceremony);
    return verified;
  }

  private draftCredential(
    context: AuthorizedContext,
    { challenge }: Ceremony,
    { response, name }: RegisterCredentialDto,
    { attestation, ...verified }: VerifiedRegistration,
  ): CredentialEntity {
    const now = this.clock.now();
    return this.bindings.seal({
      ...verified,
      id: makeUuidv7(now),
      rpId: challenge.rpId,
      userId: challenge.userId,
      name: name ?? chooseName(this.authenticators.findLabel(verified.aaguid)),
      status: 'active' as const,
      statusReason: null,
      statusChangedAt: now,
      attachment: readAttachment(response),
      transports: selectTransports(response.response.transports),
      discoverable: readDiscoverable(response),
      attestationFormat: attestation.format,
      attestationTrust: attestation.trust,
      createdAt: now,
      createdBy: context.caller.spiffeId,
      lastUsedAt: null,
      lastSignInAt: null,
      browserKeys: null,
      userHandle: null,
      version: 1,
    });
  }

  /**
   * Spends the challenge, and stores the credential and its event, in one statement.
   *
   * @returns undefined: the relying party has changed since it was read
   * @throws Problem challenge-spent, policy-rejected, credential-exists
   */
  private async store(
    context: AuthorizedContext,
    { challenge, policy, version }: Ceremony,
    credential: CredentialEntity,
    { attestation }: VerifiedRegistration,
  ): Promise<CredentialEntity | undefined> {
    const { rpId, userId, algorithm, aaguid, userVerified, backupEligible } = credential;
    const entry: AuditEntry = {
      type: 'credential.register',
      outcome: 'success',
      rpId,
      userId,
      userVerified,
      credential: { id: credential.id, credentialId: credential.credentialId.toString('base64url') },
      facts: {
        ...describeChallenge(challenge),
        algorithm,
        aaguid,
        attestation: `${attestation.format}/${attestation.trust}`,
        attestation_root: attestation.root,
        attestation_distrust: attestation.distrust?.detail,
        backup_eligible: backupEligible,
        credential_version: credential.version,
      },
    };
    const { handle, revocations, uid = await this.audit.findPseudonym(entry) } = challenge.registration;
    const event = this.audit.createRow(context, entry, uid);
    const most = getCredentialCapacity(policy.maxCredentialsPerUser);
    const txn = context.requestId;
    const input = { challengeId: challenge.id, credential, handle, revocations, version, most, event, txn };
    const accepted = await this.answers.acceptRegistration(input);
    if (!accepted) {
      const detail = 'the user was erased, or all passkeys of the user were revoked, in the meantime';
      throw new Problem('challenge-spent', { detail });
    }
    if (!accepted.stored) {
      if (!accepted.current) return undefined;
      demandCredentialCapacity(accepted.held, policy.maxCredentialsPerUser);
      throw new Problem(accepted.taken ? 'credential-exists' : 'challenge-spent');
    }
    this.audit.countEvent(event);
    this.counts.countAnswered(rpId, context.caller.spiffeId, 'registration');
    return credential;
  }
}

/** @throws Refusal ceremony-mismatch */
function demandRegistrationCeremony(challenge: Challenge, party: RelyingPartyEntity): Ceremony {
  const { registration, userId } = challenge;
  refuseUnless(
    registration !== undefined && userId !== undefined,
    'ceremony-mismatch',
    'the challenge was issued for an authentication, and this is a registration',
  );
  const { origins, version } = party;
  const policy = applyPurpose(party.policy, getPolicyPurpose(challenge));
  return { challenge: { ...challenge, registration, userId }, origins, policy, version };
}

/**
 * Checks the demands of the relying party that go beyond the steps of the specification.
 *
 * @throws Refusal
 */
function demandPolicy(response: RegistrationResponseDto, verified: VerifiedRegistration, ceremony: Ceremony): void {
  const { policy } = ceremony;
  const { attachment } = ceremony.challenge.registration;
  const { backupEligible, attestation } = verified;
  const answered = readAttachment(response);
  refuseUnless(
    !attachment || !answered || answered === attachment,
    'authenticator-denied',
    `the challenge asked for a ${String(attachment)} authenticator; the answer is from a ${String(answered)} one`,
  );
  const discoverable = policy.residentKey !== 'required' || readDiscoverable(response) !== false;
  refuseUnless(
    discoverable,
    'authenticator-denied',
    'the passkey is not discoverable (credProps.rk is false); residentKey in the policy demands that it is',
  );
  demandBackup(policy.backup, backupEligible);
  const trustNeeded = policy.attestation.trust === 'trusted' || policy.backup === 'device-bound';
  refuseUnless(
    !trustNeeded || attestation.trust === 'trusted',
    'attestation-untrusted',
    `the policy demands an attestation by a maker that the service trusts; ${explainDistrust(attestation)}`,
  );
}

function explainDistrust({ trust, distrust }: VerifiedRegistration['attestation']): string {
  if (trust === 'none') return 'this answer has none, which is normal if attestation.conveyance in the policy is none';
  if (trust === 'self') return 'this one is signed with the passkey’s own key, so it names no maker';
  return `this one is not trusted: ${distrust?.detail ?? ''}`;
}

function readAttachment({ authenticatorAttachment }: RegistrationResponseDto): string | null {
  return ['platform', 'cross-platform'].find((known) => known === authenticatorAttachment) ?? null;
}

/** Reads `credProps.rk` (WebAuthn L3 §10.1.3). null: the client does not report it. */
function readDiscoverable({ clientExtensionResults }: RegistrationResponseDto): boolean | null {
  const credProps = (clientExtensionResults?.credProps ?? {}) as { rk?: unknown };
  return typeof credProps.rk === 'boolean' ? credProps.rk : null;
}

function toRejection({ reason, detail }: { reason: Reason; detail: string }): Problem {
  return new Problem('registration-rejected', { reason, detail, advice: ADVICE[reason] });
}
