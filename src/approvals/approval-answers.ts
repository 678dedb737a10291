import { HttpStatus, Inject, Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CLOCK, type Clock } from '../config/clock.js';
import { ApprovalSubjects } from './approval-subjects.js';
import type { ApprovalEntity } from './approval.entity.js';
import { ApprovalResponse } from './dto/approval.response.js';

/** Makes the answers about requests for approval, which name the users as long as they are not erased. */
@Injectable()
export class ApprovalAnswers {
  constructor(
    private readonly subjects: ApprovalSubjects,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async describe(approvals: readonly ApprovalEntity[]): Promise<ApprovalResponse[]> {
    const users = await this.subjects.findUserIds(approvals);
    const now = this.clock.now();
    return approvals.map((approval) => ApprovalResponse.of(approval, users.get(approval.id) ?? null, now));
  }

  async describeOne(approval: ApprovalEntity): Promise<ApprovalResponse> {
    const [answer] = await this.describe([approval]);
    return answer!;
  }

  /** Answers a request that waits for its approval: 202 with the path of the request for it (RFC 9110 §15.3.3). */
  async accept(approval: ApprovalEntity, reply: FastifyReply): Promise<ApprovalResponse> {
    void reply.status(HttpStatus.ACCEPTED).header('location', `/v1/approvals/${approval.id}`);
    return this.describeOne(approval);
  }
}
