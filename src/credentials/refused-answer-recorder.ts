import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { readCredential, type RedeemedChallenge } from './answer.repository.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { Refusal } from '../webauthn/refusal.js';

/** A refused answer, with everything that is known about it. */
interface RefusedAnswer {
  readonly type: 'credential.register' | 'credential.verify';
  readonly credentialId: string;
  readonly redeemed: RedeemedChallenge | undefined;
  /** The error that refused it. The record names its step of the specification. */
  readonly error: unknown;
}

/** Length of the longest credential id, 1,023 bytes, in base64url. */
const MAX_CREDENTIAL_ID = 1_364;

/** Records why an answer was refused, before the caller gets the problem. */
@Injectable()
export class RefusedAnswerRecorder {
  constructor(private readonly audit: AuditService) {}

  /** Records the refusal. A failure of the service itself is not a refusal and leaves no record. */
  async record(context: AuthorizedContext, problem: unknown, answer: RefusedAnswer): Promise<void> {
    if (!(problem instanceof Problem) || problem.status >= 500) return;
    const { type, credentialId, redeemed, error } = answer;
    const credential = redeemed && readCredential(redeemed);
    await this.audit.record(context, {
      type,
      outcome: 'failure',
      reason: problem.members.reason ?? problem.slug,
      detail: problem.members.detail,
      rpId: redeemed?.rp_id,
      userId: redeemed?.user_id ?? credential?.userId,
      credential: { id: credential?.id, credentialId: credentialId.slice(0, MAX_CREDENTIAL_ID) },
      facts: { webauthn_step: error instanceof Refusal ? error.clause : undefined },
    });
  }
}
