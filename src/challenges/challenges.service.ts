import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import {
  type CreationOptions,
  makeCreationOptions,
  makeRequestOptions,
  type PublicKeyCredentialDescriptorJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '../webauthn/options.js';
import { v7 as uuidv7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { ChallengeRepository, type Descriptor } from './challenge.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { DecoyShapes } from './decoy-shapes.js';
import { makeDecoyDescriptors, sortTransports } from './decoy.js';
import type { IssueAuthenticationChallengeDto, IssueRegistrationChallengeDto } from './dto/issue-challenge.dto.js';
import type { IssuedChallengeResponse } from './dto/issued-challenge.response.js';
import { demandIdentityProof } from './identity-proof.js';
import { UserLimiter } from './user-limiter.js';

const CHALLENGE_BYTES = 32;
const USER_HANDLE_BYTES = 32;

/** Issues challenges and redeems each of them once. */
@Injectable()
export class ChallengesService {
  constructor(
    private readonly challenges: ChallengeRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly parties: RelyingPartiesService,
    private readonly limits: UserLimiter,
    private readonly decoyShapes: DecoyShapes,
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem relying-party-unknown, relying-party-denied, policy-rejected, rate-limited */
  async issueForRegistration(
    context: AuthorizedContext,
    request: IssueRegistrationChallengeDto,
  ): Promise<IssuedChallengeResponse<CreationOptions>> {
    const { rpId, user, identityProof, authenticatorAttachment: attachment, hints, purpose } = request;
    const conditional = request.mediation === 'conditional';
    const { name, policy } = await this.parties.getEnabled(rpId);
    const now = this.clock.now();
    const exclude = (await this.challenges.listDescriptors(rpId, user.id)).map(toDescriptor);
    const entry = { type: 'challenge.issue', rpId, userId: user.id } as const;
    const facts = { ceremony: 'registration', purpose, identity_proof: identityProof };
    try {
      demandIdentityProof(identityProof, policy.identityProof, now);
      demandCredentialCapacity(exclude.length, policy.maxCredentialsPerUser);
    } catch (error) {
      if (error instanceof Problem) {
        const { reason, detail } = error.members;
        await this.audit.record(context, { ...entry, outcome: 'failure', reason, detail, facts });
      }
      throw error;
    }
    const challengeId = uuidv7({ msecs: now.getTime() });
    const challenge = randomBytes(CHALLENGE_BYTES);
    const expiresAt = new Date(now.getTime() + policy.challengeTtlSeconds * 1_000);
    const event = this.audit.createRow(
      context,
      { ...entry, outcome: 'success', facts: { ...facts, challenge_id: challengeId } },
      now,
    );
    const issued = await this.challenges.issueRegistration({
      id: challengeId,
      rpId,
      userId: user.id,
      purpose,
      issuedTo: context.caller.spiffeId,
      challenge,
      expiresAt,
      conditional,
      attachment,
      newHandle: randomBytes(USER_HANDLE_BYTES),
      now,
      challengesPerMinute: policy.userLimits.challengesPerMinute,
      event,
    });
    if (!issued.handle) return this.limits.refuse(context, { entry: event.entry, inTheWay: issued, policy, now });
    this.audit.countEvent(event);
    const publicKey = await makeCreationOptions({
      rp: { id: rpId, name },
      challenge,
      policy,
      exclude,
      attachment,
      hints,
      conditional,
      user: { handle: issued.handle, name: user.name, displayName: user.displayName },
    });
    return { challengeId, expiresAt, publicKey };
  }

  /** @throws Problem relying-party-unknown, relying-party-denied, rate-limited */
  async issueForAuthentication(
    context: AuthorizedContext,
    request: IssueAuthenticationChallengeDto,
  ): Promise<IssuedChallengeResponse<PublicKeyCredentialRequestOptionsJSON>> {
    const { rpId, userId, purpose, hints } = request;
    const now = this.clock.now();
    const challengeId = uuidv7({ msecs: now.getTime() });
    const challenge = randomBytes(CHALLENGE_BYTES);
    const facts = { ceremony: 'authentication', purpose, challenge_id: challengeId };
    const event = this.audit.createRow(
      context,
      { type: 'challenge.issue', outcome: 'success', rpId, userId, facts },
      now,
    );
    const issuedTo = context.caller.spiffeId;
    const asked = { id: challengeId, rpId, userId, purpose, issuedTo, challenge, now, event };
    const issued = await this.challenges.issueAuthentication.run(asked);
    if (!issued) {
      await this.parties.getEnabled(rpId);
      throw new Problem('unavailable', { retryAfter: 1 });
    }
    const { policy, expires_at: expiresAt } = issued;
    if (!expiresAt) return this.limits.refuse(context, { entry: event.entry, inTheWay: issued, policy, now });
    this.audit.countEvent(event);
    const known = (issued.descriptors ?? []).map(toDescriptor);
    const decoys = userId === undefined ? [] : await this.makeDecoys(rpId, userId);
    const publicKey = await makeRequestOptions({
      rpId,
      challenge,
      policy,
      allow: known.length > 0 ? known : decoys,
      hints,
    });
    return { challengeId, expiresAt, publicKey };
  }

  /** Makes decoys for every user, so that the response time does not show which users have no passkeys. */
  private async makeDecoys(rpId: string, userId: string): Promise<PublicKeyCredentialDescriptorJSON[]> {
    return makeDecoyDescriptors(this.keys.decoy, { rpId, userId }, await this.decoyShapes.getShapes(rpId));
  }
}

/** @throws Problem policy-rejected */
export function demandCredentialCapacity(credentials: number, maxCredentialsPerUser: number): void {
  const max = Math.min(maxCredentialsPerUser, MAX_CREDENTIALS_PER_USER);
  if (credentials < max) return;
  throw new Problem('policy-rejected', {
    reason: 'too-many-credentials',
    detail: `the user has ${String(credentials)} passkeys; the policy allows ${String(max)}`,
    advice: 'Let the user choose a passkey to revoke. Or raise the policy’s maxCredentialsPerUser, to at most 64.',
  });
}

function toDescriptor({ id, transports }: Descriptor): PublicKeyCredentialDescriptorJSON {
  return {
    type: 'public-key',
    id: Buffer.from(id, 'hex').toString('base64url'),
    transports: sortTransports(transports),
  };
}
