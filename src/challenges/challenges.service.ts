import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import {
  type CreationOptions,
  makeCreationOptions,
  makeRequestOptions,
  type PublicKeyCredentialDescriptorJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '../webauthn/options.js';
import type { SealedUser } from '../audit/sealed-user.js';
import { UserSeals } from '../audit/user-seals.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { makeUuidv7, takeRandomBytes } from '../config/random.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { deriveStandIn } from '../audit/pseudonyms.js';
import { ChallengeCounts } from './challenge-counts.js';
import { ChallengeRepository } from './challenge.repository.js';
import {
  type Challenge,
  CHALLENGE_BYTES,
  digestCredentialId,
  getCeremony,
  getPolicyPurpose,
  MAX_CHALLENGE_ID,
  type PaymentTerms,
  USER_HANDLE_BYTES,
} from './challenge.js';
import { ChallengeSeal } from './challenge-seal.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { EnrolledCredentials } from '../relying-parties/enrolled-credentials.js';
import {
  type Admission,
  admitsAll,
  type AppliedPolicy,
  applyPurpose,
  isAdmitted,
} from '../relying-parties/purposes.js';
import { RelyingPartyCopies } from '../relying-parties/relying-party-copies.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { DecoyShapes } from './decoy-shapes.js';
import { makeDecoyDescriptors } from './decoy.js';
import { makeDescriptors, type ReadDescriptor } from './descriptors.js';
import type { IssueAuthenticationChallengeDto, IssueRegistrationChallengeDto } from './dto/issue-challenge.dto.js';
import type { IssuedChallengeResponse } from './dto/issued-challenge.response.js';
import { PolicyDemands } from './policy-demands.js';
import { hasMaxAge } from './sign-in-age.js';
import { UserLimiter } from './user-limiter.js';

type ChallengeTerms = Pick<Challenge, 'rpId' | 'userId' | 'purpose' | 'registration' | 'confirmation' | 'payment'>;

/** What a user is asked to agree to. */
export type UserTerms = Pick<ChallengeTerms, 'rpId' | 'purpose' | 'confirmation'> & {
  readonly userId: string;
  readonly payment?: Omit<PaymentTerms, 'offered'>;
};

interface Issued {
  readonly challengeId: string;
  readonly expiresAt: Date;
  readonly challenge: Buffer;
}

/** An issued challenge with what its options need. */
export interface IssuedForUser extends Issued {
  readonly policy: AppliedPolicy;
  readonly allow: PublicKeyCredentialDescriptorJSON[];
}

/** Issues challenges. Nothing is stored for one: the caller gets it sealed, and sends it back with the answer. */
@Injectable()
export class ChallengesService {
  constructor(
    private readonly challenges: ChallengeRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly seal: ChallengeSeal,
    private readonly parties: RelyingPartiesService,
    private readonly copies: RelyingPartyCopies,
    private readonly limits: UserLimiter,
    private readonly counts: ChallengeCounts,
    private readonly decoyShapes: DecoyShapes,
    private readonly users: UserSeals,
    private readonly enrolled: EnrolledCredentials,
    private readonly demands: PolicyDemands,
  ) {}

  /** @throws Problem relying-party-unknown, relying-party-denied, policy-rejected, rate-limited */
  async issueForRegistration(
    context: AuthorizedContext,
    request: IssueRegistrationChallengeDto,
  ): Promise<IssuedChallengeResponse<CreationOptions>> {
    const { rpId, user, identityProof, hints, purpose, payment = false } = request;
    const attachment = payment ? 'platform' : request.authenticatorAttachment;
    const conditional = request.mediation === 'conditional';
    const now = this.clock.now();
    // A request that the policy refuses writes nothing but its record.
    await this.demands.demandEarly(context, request, now);
    const newUser = this.makeUser(rpId, user.id);
    const read = await this.challenges.readForRegistration.run({ rpId, userId: user.id, newUser, now });
    if (!read) return this.refuseUnknown(rpId);
    const { handle, auditUid: uid } = await this.demandGenuine(context, {
      ...{ rpId, userId: user.id, handle: read.handle, auditUid: read.audit_uid, seal: read.user_seal },
    });
    const party = await this.copies.getSealed(rpId, read.party_seal);
    const policy = applyPurpose(party.policy, purpose);
    const descriptors = read.descriptors ?? [];
    await this.demands.demandRegistration(context, request, { party, policy, credentials: descriptors.length }, now);
    const asked = { rpId, userId: user.id, uid, ceremony: 'registration', policy, now } as const;
    await this.limits.demandWithinLimits(context, { ...asked, refusalInTheWay: null });
    const { challenge, ...issued } = this.issue(context, {
      rpId,
      userId: user.id,
      purpose,
      now,
      policy,
      registration: { handle, revocations: read.revocations, uid, conditional, payment, attachment, identityProof },
    });
    const publicKey = await makeCreationOptions({
      rp: { id: rpId, name: party.name },
      challenge,
      policy,
      exclude: makeDescriptors(descriptors),
      attachment,
      hints,
      conditional,
      payment,
      user: { handle, name: user.name, displayName: user.displayName },
    });
    return { ...issued, publicKey };
  }

  /** @throws Problem relying-party-unknown, relying-party-denied, policy-rejected, rate-limited */
  async issueForAuthentication(
    context: AuthorizedContext,
    request: IssueAuthenticationChallengeDto,
  ): Promise<IssuedChallengeResponse<PublicKeyCredentialRequestOptionsJSON>> {
    const { rpId, userId, purpose, hints } = request;
    const now = this.clock.now();
    const { policy, allow } =
      userId === undefined
        ? { policy: applyPurpose((await this.copies.getEnabled(rpId)).policy, purpose), allow: [] }
        : await this.readForUser(context, { rpId, userId, purpose }, now);
    const { challenge, ...issued } = this.issue(context, { rpId, userId, purpose, now, policy });
    const publicKey = await makeRequestOptions({ rpId, challenge, policy, allow, hints });
    return { ...issued, publicKey };
  }

  /**
   * Issues a challenge for a ceremony of a user whom the caller has identified, other than a sign-in. Whoever is no user
   * gets decoys, as at a sign-in.
   *
   * @throws Problem relying-party-unknown, relying-party-denied, policy-rejected, rate-limited; request-malformed: the payment
   * is too long
   */
  async issueForUser(context: AuthorizedContext, terms: UserTerms): Promise<IssuedForUser> {
    const now = this.clock.now();
    const { policy, allow } = await this.readForUser(context, terms, now);
    const offered = allow.map(({ id }) => digestCredentialId(Buffer.from(id, 'base64url')));
    const payment = terms.payment && { ...terms.payment, offered };
    const issued = this.issue(context, { ...terms, payment, now, policy });
    const excess = issued.challengeId.length - MAX_CHALLENGE_ID;
    if (excess > 0) {
      const detail = `is too long to be sealed, by about ${String(Math.ceil(excess / 2))} bytes: shorten its names, details, labels and origins`;
      throw new Problem('request-malformed', { invalid: [{ pointer: '/payment', detail }] });
    }
    return { ...issued, policy, allow };
  }

  /** @throws Problem relying-party-unknown, relying-party-denied, policy-rejected, rate-limited */
  private async readForUser(
    context: AuthorizedContext,
    terms: UserTerms,
    now: Date,
  ): Promise<{ policy: AppliedPolicy; allow: PublicKeyCredentialDescriptorJSON[] }> {
    const { rpId, userId } = terms;
    const standIn = deriveStandIn({ rpId, userId }, now, this.keys);
    const read = await this.challenges.readForAuthentication.run({ rpId, userId, standIn, now });
    if (!read) return this.refuseUnknown(rpId);
    const party = await this.copies.getSealed(rpId, read.party_seal);
    const policy = applyPurpose(party.policy, getPolicyPurpose(terms));
    const { handle, audit_uid: auditUid, user_seal: seal } = read;
    const isUser = handle !== null && auditUid !== null;
    const user = isUser && (await this.users.keepGenuine(context, { rpId, userId, handle, auditUid, seal }));
    // A user whose row was changed is treated like a stranger, whose answers are all refused.
    const refusalInTheWay = isUser && !user ? null : read.refusal_in_the_way;
    const uid = user ? user.auditUid : standIn;
    const asked = { rpId, userId, uid, ceremony: getCeremony(terms), policy, now } as const;
    await this.limits.demandWithinLimits(context, { ...asked, refusalInTheWay });
    const held = isUser && !user ? [] : (read.descriptors ?? []);
    const known = makeDescriptors(await this.selectPasskeys(context, terms, policy, held, now));
    const decoys = await this.makeDecoys(rpId, userId, policy.admission);
    return { policy, allow: known.length > 0 ? known : decoys };
  }

  /**
   * Demands a sign-in if the purpose does, and selects the passkeys that it admits. It reads them for every user, so its time
   * does not show who is one.
   *
   * @param held none for whoever counts as a stranger
   * @throws Problem policy-rejected
   */
  private async selectPasskeys(
    context: AuthorizedContext,
    terms: UserTerms,
    policy: AppliedPolicy,
    held: ReadDescriptor[],
    now: Date,
  ): Promise<ReadDescriptor[]> {
    if (admitsAll(policy.admission) && !hasMaxAge(policy)) return held;
    const listed = await this.enrolled.listPasskeys(context, terms.rpId, terms.userId);
    const known = new Set(held.map(({ id }) => id));
    const passkeys = listed.filter(({ credentialId }) => known.has(credentialId.toString('hex')));
    const facts = { ceremony: getCeremony(terms), purpose: terms.purpose };
    await this.demands.demandSignIn(context, { ...terms, facts }, passkeys, policy, now);
    const admitted = passkeys.filter((passkey) => isAdmitted(policy.admission, passkey));
    const ids = new Set(admitted.map(({ credentialId }) => credentialId.toString('hex')));
    return held.filter(({ id }) => ids.has(id));
  }

  /** Makes a user for the first registration: a random handle and a random pseudonym. */
  private makeUser(rpId: string, userId: string): SealedUser {
    const user = { rpId, userId, handle: takeRandomBytes(USER_HANDLE_BYTES), auditUid: randomUUID() };
    return { ...user, seal: this.users.seal(user) };
  }

  /** @throws Problem unavailable: an operator has to repair the row first, so an earlier attempt fails, too */
  private async demandGenuine(context: AuthorizedContext, user: SealedUser): Promise<SealedUser> {
    const genuine = await this.users.keepGenuine(context, user);
    if (genuine) return genuine;
    throw new Problem('unavailable', { detail: 'the record of the user fails its integrity check', retryAfter: 60 });
  }

  private issue(
    context: AuthorizedContext,
    {
      now,
      policy,
      ...terms
    }: ChallengeTerms & {
      readonly now: Date;
      readonly policy: Pick<RelyingPartyPolicy, 'challengeTtlSeconds'>;
    },
  ): Issued {
    const challenge = takeRandomBytes(CHALLENGE_BYTES);
    const expiresAt = new Date(now.getTime() + policy.challengeTtlSeconds * 1_000);
    const id = makeUuidv7(now);
    const { spiffeId } = context.caller;
    const challengeId = this.seal.seal({ ...terms, id, challenge, issuedAt: now, expiresAt }, spiffeId);
    this.counts.countIssued(terms.rpId, spiffeId, getCeremony(terms));
    return { challengeId, expiresAt, challenge };
  }

  /** @throws Problem relying-party-unknown, relying-party-denied */
  private async refuseUnknown(rpId: string): Promise<never> {
    await this.parties.getEnabled(rpId);
    throw new Problem('unavailable', { retryAfter: 1 });
  }

  /** Makes decoys for every user, so that the response time does not show which users have no passkeys. */
  private async makeDecoys(
    rpId: string,
    userId: string,
    admission: Admission,
  ): Promise<PublicKeyCredentialDescriptorJSON[]> {
    const shapes = await this.decoyShapes.getShapes(rpId);
    return makeDecoyDescriptors(this.keys.decoy, { rpId, userId }, shapes, admission);
  }
}
