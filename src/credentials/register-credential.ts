import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import {
  type RegistrationResponseJSON,
  type VerifiedRegistration,
  verifyRegistration,
} from '../webauthn/verify-registration.js';
import { type DataSource, Not } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import { AttestationRoots } from '../authenticators/attestation-roots.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { demandCredentialCapacity } from '../challenges/challenges.service.js';
import { UserHandleRepository } from '../challenges/user-handle.repository.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { AnswerRepository, type RedeemedChallenge } from './answer.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { completePolicy, type RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { ADVICE, type Reason, Refusal, refuseUnless } from '../webauthn/refusal.js';
import { chooseUserVerification } from '../webauthn/options.js';
import { demandAllowedModel, demandBackup } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { CredentialRepository } from './credential.repository.js';
import { RefusedAnswerRecorder } from './refused-answer-recorder.js';
import type { RegisterCredentialDto, RegistrationResponseDto } from './dto/ceremony-answer.dto.js';

/** The longest name of a passkey in the contract. The name of a model can be longer. */
const MAX_NAME_CHARACTERS = 64;

/** A redeemed challenge whose relying party exists and is enabled. */
type Ceremony = RedeemedChallenge & {
  readonly user_id: string;
  readonly origins: string[];
  readonly policy: RelyingPartyPolicy;
};

/** Ends a registration: redeems the challenge, verifies the answer (WebAuthn L3 §7.1) and stores the credential. */
@Injectable()
export class RegisterCredential {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly answers: AnswerRepository,
    private readonly users: UserHandleRepository,
    private readonly credentials: CredentialRepository,
    private readonly bindings: CredentialBindings,
    private readonly authenticators: AuthenticatorsService,
    private readonly roots: AttestationRoots,
    private readonly refused: RefusedAnswerRecorder,
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem challenge-spent, registration-rejected, policy-rejected, credential-exists */
  async register(context: AuthorizedContext, answer: RegisterCredentialDto): Promise<CredentialEntity> {
    const { response } = answer;
    let redeemed: RedeemedChallenge | undefined;
    try {
      redeemed = await this.answers.redeem(context, answer.challengeId, Buffer.from(response.id, 'base64url'));
      const ceremony = demandRegistrationCeremony(redeemed);
      const verified = this.verify(response, ceremony);
      return await this.store(context, ceremony, this.draftCredential(context, ceremony, answer, verified), verified);
    } catch (error) {
      const problem = error instanceof Refusal ? toRejection(error) : error;
      await this.refused.record(context, problem, {
        type: 'credential.register',
        credentialId: response.id,
        redeemed,
        error,
      });
      throw problem;
    }
  }

  private verify(response: RegistrationResponseDto, ceremony: Ceremony): VerifiedRegistration {
    const { policy } = ceremony;
    const verified = verifyRegistration(response as RegistrationResponseJSON, {
      rpId: ceremony.rp_id,
      origins: ceremony.origins,
      crossOrigin: policy.crossOrigin,
      challenge: ceremony.challenge,
      conditional: ceremony.conditional,
      requireUserVerification: chooseUserVerification(policy, ceremony.conditional) === 'required',
      algorithms: policy.algorithms,
      formats: policy.attestation.formats,
      roots: (format, aaguid) => [...this.roots.listRoots(format), ...this.authenticators.listRoots(aaguid)],
      // A policy that an earlier version stored may lack newer members.
      allowSha1Tpm: completePolicy(policy).allowSha1Tpm,
      now: this.clock.now(),
    });
    this.roots.countAttestation(verified.attestation);
    demandAllowedModel(policy.authenticators, verified.aaguid, this.authenticators, this.clock.now());
    demandPolicy(response, verified, ceremony);
    return verified;
  }

  private draftCredential(
    context: AuthorizedContext,
    ceremony: Ceremony,
    { response, name }: RegisterCredentialDto,
    { attestation, ...verified }: VerifiedRegistration,
  ): CredentialEntity {
    const now = this.clock.now();
    return this.bindings.seal({
      ...verified,
      id: uuidv7({ msecs: now.getTime() }),
      rpId: ceremony.rp_id,
      userId: ceremony.user_id,
      name: name ?? this.chooseName(verified.aaguid),
      status: 'active' as const,
      statusReason: null,
      statusChangedAt: now,
      attachment: readAttachment(response),
      transports: selectTransports(response),
      discoverable: readDiscoverable(response),
      attestationFormat: attestation.format,
      attestationTrust: attestation.trust,
      createdAt: now,
      createdBy: context.caller.spiffeId,
      lastUsedAt: null,
    });
  }

  private chooseName(aaguid: string): string {
    const { name } = this.authenticators.findLabel(aaguid) ?? { name: 'Passkey' };
    return Array.from(name).slice(0, MAX_NAME_CHARACTERS).join('');
  }

  /** Stores the credential and its event in one transaction, which locks the user. */
  private store(
    context: AuthorizedContext,
    ceremony: Ceremony,
    credential: CredentialEntity,
    { attestation }: VerifiedRegistration,
  ): Promise<CredentialEntity> {
    const { rpId, userId } = credential;
    return this.dataSource.transaction(async (manager) => {
      const locked = await this.users.lock(manager, rpId, userId);
      if (!locked) throw new Problem('challenge-spent', { detail: 'the user was erased in the meantime' });
      const count = await manager.countBy(CredentialEntity, { rpId, userId, status: Not('revoked' as const) });
      demandCredentialCapacity(count, ceremony.policy.maxCredentialsPerUser);
      if (!(await this.credentials.insert(manager, credential))) throw new Problem('credential-exists');
      const credentialId = credential.credentialId.toString('base64url');
      const { algorithm, aaguid, userVerified, backupEligible } = credential;
      await this.audit.record(
        context,
        {
          type: 'credential.register',
          outcome: 'success',
          rpId,
          userId,
          userVerified,
          credential: { id: credential.id, credentialId },
          facts: {
            algorithm,
            aaguid,
            attestation: `${attestation.format}/${attestation.trust}`,
            attestation_root: attestation.root,
            attestation_distrust: attestation.distrust?.detail,
            backup_eligible: backupEligible,
          },
        },
        manager,
      );
      return credential;
    });
  }
}

/** @throws Problem relying-party-denied; Refusal ceremony-mismatch */
function demandRegistrationCeremony(redeemed: RedeemedChallenge): Ceremony {
  refuseUnless(
    redeemed.ceremony === 'registration',
    'ceremony-mismatch',
    'the challenge was issued for an authentication, and this is a registration',
  );
  const { policy, origins, enabled, user_id } = redeemed;
  if (!enabled || !policy || !origins || user_id === null) throw new Problem('relying-party-denied');
  return { ...redeemed, policy, origins, user_id };
}

/**
 * Checks the demands of the relying party that go beyond the steps of the specification.
 *
 * @throws Refusal
 */
function demandPolicy(response: RegistrationResponseDto, verified: VerifiedRegistration, ceremony: Ceremony): void {
  const { policy, attachment } = ceremony;
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

/** Matches all values that clients send today, such as `hybrid` or `smart-card`, and leaves room for longer ones. */
const TRANSPORT = /^[\x21-\x7e]{1,32}$/;
const MAX_TRANSPORTS = 16;

/** Keeps unknown values too, because a later client may know them (WebAuthn L3 §5.2.1). */
function selectTransports({ response: { transports } }: RegistrationResponseDto): string[] {
  const kept = new Set((transports ?? []).filter((transport) => TRANSPORT.test(transport)));
  return [...kept].slice(0, MAX_TRANSPORTS);
}

function toRejection({ reason, detail }: { reason: Reason; detail: string }): Problem {
  return new Problem('registration-rejected', { reason, detail, advice: ADVICE[reason] });
}
