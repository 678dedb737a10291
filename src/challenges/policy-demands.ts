import { Injectable } from '@nestjs/common';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { EnrolledCredentials, type EnrolledPasskey } from '../relying-parties/enrolled-credentials.js';
import { type AppliedPolicy, applyPurpose } from '../relying-parties/purposes.js';
import { RelyingPartyCopies } from '../relying-parties/relying-party-copies.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { demandCredentialCapacity } from './credential-capacity.js';
import type { IssueRegistrationChallengeDto } from './dto/issue-challenge.dto.js';
import { demandRegistrations } from './demand-registrations.js';
import { demandIdentityProof } from './identity-proof.js';
import { demandRecentSignIn, hasMaxAge } from './sign-in-age.js';

type Asked = Pick<AuditEntry, 'rpId' | 'userId' | 'facts'>;

/** Demands what a policy wants before a challenge is issued. A refusal is recorded before this throws it. */
@Injectable()
export class PolicyDemands {
  constructor(
    private readonly copies: RelyingPartyCopies,
    private readonly enrolled: EnrolledCredentials,
    private readonly audit: AuditService,
  ) {}

  /**
   * Demands of a registration what needs no user.
   *
   * @throws Problem policy-rejected, relying-party-unknown, relying-party-denied
   */
  async demandEarly(context: AuthorizedContext, request: IssueRegistrationChallengeDto, now: Date): Promise<void> {
    const { party, policy } = await this.getParty(request, now);
    await this.demandRegistration(context, request, { party, policy, credentials: 0 }, now);
    if (!hasMaxAge(policy)) return;
    const passkeys = await this.enrolled.listPasskeys(context, request.rpId, request.user.id);
    await this.demandSignIn(context, describe(request), passkeys, policy, now);
  }

  /**
   * Demands what the policy wants before a user gets one more passkey.
   *
   * @throws Problem policy-rejected
   */
  demandRegistration(
    context: AuthorizedContext,
    request: IssueRegistrationChallengeDto,
    {
      party,
      policy,
      credentials,
    }: { readonly party: RelyingPartyEntity; readonly policy: AppliedPolicy; readonly credentials: number },
    now: Date,
  ): Promise<void> {
    return this.recordRefusal(context, describe(request), () => {
      demandRegistrations(party);
      demandIdentityProof(request.identityProof, policy.identityProof, now);
      demandCredentialCapacity(credentials, policy.maxCredentialsPerUser);
    });
  }

  /**
   * Demands a sign-in if the purpose does.
   *
   * @throws Problem policy-rejected
   */
  demandSignIn(
    context: AuthorizedContext,
    asked: Asked,
    passkeys: readonly EnrolledPasskey[],
    policy: AppliedPolicy,
    now: Date,
  ): Promise<void> {
    return this.recordRefusal(context, asked, () => {
      demandRecentSignIn(passkeys, policy, now);
    });
  }

  /**
   * Gets the relying party for a registration, from a copy if it allows the request. Nobody is refused by settings of the
   * past, so a purpose that asks for a sign-in is read anew.
   */
  private async getParty(
    { rpId, identityProof, purpose }: IssueRegistrationChallengeDto,
    now: Date,
  ): Promise<{ party: RelyingPartyEntity; policy: AppliedPolicy }> {
    const party = await this.copies.getEnabled(rpId);
    const policy = applyPurpose(party.policy, purpose);
    try {
      demandRegistrations(party);
      demandIdentityProof(identityProof, policy.identityProof, now);
      if (!hasMaxAge(policy)) return { party, policy };
    } catch {
      // The present settings may allow it.
    }
    this.copies.forget(rpId);
    const present = await this.copies.getEnabled(rpId);
    return { party: present, policy: applyPurpose(present.policy, purpose) };
  }

  private async recordRefusal(
    context: AuthorizedContext,
    { rpId, userId, facts }: Asked,
    demand: () => void,
  ): Promise<void> {
    try {
      demand();
    } catch (error) {
      if (error instanceof Problem) {
        const { reason, detail } = error.members;
        const entry = { type: 'challenge.issue', rpId, userId, outcome: 'failure', reason, detail, facts } as const;
        await this.audit.record(context, entry);
      }
      throw error;
    }
  }
}

function describe({ rpId, user, identityProof, purpose }: IssueRegistrationChallengeDto): Asked {
  return { rpId, userId: user.id, facts: { ceremony: 'registration', purpose, identity_proof: identityProof } };
}
