import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { ChallengeCounts } from '../challenges/challenge-counts.js';
import { type Challenge, describeChallenge, getCeremony } from '../challenges/challenge.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { AssertionRules } from './accept-authentication.js';
import { AnswerRepository } from './answer.repository.js';
import { describeClone } from './credential-signals.js';
import type { CredentialEntity } from './credential.entity.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { Refusal } from '../webauthn/refusal.js';

/** A refused answer, with everything that is known about it. */
interface RefusedAnswer {
  readonly type: 'credential.register' | AssertionRules['type'];
  readonly credentialId: string;
  /** undefined: the answer came without a challenge that the caller may answer now. */
  readonly challenge: Challenge | undefined;
  /** The credential that the answer names; undefined: none is known. */
  readonly credential?: CredentialEntity | undefined;
  /** The pseudonym of the event's user; null: a stranger; undefined: it is to be looked up. */
  readonly uid?: string | null | undefined;
  /** The error that refused it. The record names its step of the specification. */
  readonly error: unknown;
}

/** Length of the longest credential id, 1,023 bytes, in base64url. */
const MAX_CREDENTIAL_ID = 1_364;

/** Spends the challenges of refused answers and records why, before the caller gets the problem. */
@Injectable()
export class RefusedAnswerRecorder {
  constructor(
    private readonly answers: AnswerRepository,
    private readonly counts: ChallengeCounts,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * A failure of the service itself is not a refusal: it leaves no record, and does not spend the challenge. An answer to
   * a challenge that has an outcome already does not count against the user, so its record names no user.
   *
   * @returns the problem to answer with: the given one, or challenge-spent if the challenge has an outcome already
   */
  async record(context: AuthorizedContext, problem: unknown, answer: RefusedAnswer): Promise<unknown> {
    if (!(problem instanceof Problem) || problem.status >= 500) return problem;
    const { challenge } = answer;
    if (!challenge) {
      await this.audit.record(context, describe(problem, answer));
      return problem;
    }
    try {
      await this.refuse(context, problem, { ...answer, challenge });
      return problem;
    } catch (error) {
      if (!(error instanceof Problem) || error.slug !== 'challenge-spent') throw error;
      const { type, credentialId } = answer;
      const entry = describe(error, { type, credentialId, challenge: undefined, error });
      await this.audit.record(context, { ...entry, facts: describeChallenge(challenge) });
      return error;
    }
  }

  /** @throws Problem challenge-spent */
  private async refuse(
    context: AuthorizedContext,
    problem: Problem,
    answer: RefusedAnswer & { readonly challenge: Challenge },
  ): Promise<void> {
    const { challenge } = answer;
    const entry = describe(problem, answer);
    const uid = answer.uid === undefined ? await this.audit.findPseudonym(entry) : answer.uid;
    const event = this.audit.createRow(context, entry, uid);
    const { credential } = answer;
    const isSuspect = problem.members.reason === 'sign-count-regressed' && credential;
    const signal = isSuspect ? describeClone(context, credential, this.clock.now()) : undefined;
    await this.answers.refuse({ challengeId: challenge.id, event, signal });
    this.audit.countEvent(event);
    this.counts.countAnswered(challenge.rpId, context.caller.spiffeId, getCeremony(challenge));
  }
}

function describe(problem: Problem, { type, credentialId, challenge, credential, error }: RefusedAnswer): AuditEntry {
  return {
    type,
    outcome: 'failure',
    reason: problem.members.reason ?? problem.slug,
    detail: problem.members.detail,
    rpId: challenge?.rpId,
    userId: challenge?.userId ?? credential?.userId,
    credential: { id: credential?.id, credentialId: credentialId.slice(0, MAX_CREDENTIAL_ID) },
    facts: {
      ...(challenge && describeChallenge(challenge)),
      webauthn_step: error instanceof Refusal ? error.clause : undefined,
    },
  };
}
