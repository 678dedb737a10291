/**
 * Two people for what cannot be undone. If the access policy asks for it, a request waits here until a second identity
 * approves it. A request goes in, with what it would do; the action runs in the transaction of its approval.
 *
 *  - approvals.service.ts makes a request and decides it. The features that have the actions define them there.
 *  - approval.entity.ts is the row, approval-seal.ts its MAC, approval.repository.ts its SQL.
 *  - approval-subjects.ts finds the user whom a request would erase, by the user's pseudonym.
 *  - expired-approvals.ts ends the requests that nobody decided in time.
 *  - approval-answers.ts makes the answers, also the 202 of the routes that need an approval.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ApprovalAnswers } from './approval-answers.js';
import { ApprovalSeal } from './approval-seal.js';
import { ApprovalSubjects } from './approval-subjects.js';
import { ApprovalEntity } from './approval.entity.js';
import { ApprovalRepository } from './approval.repository.js';
import { ApprovalsController } from './approvals.controller.js';
import { ApprovalsService } from './approvals.service.js';
import { ExpiredApprovals } from './expired-approvals.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApprovalEntity])],
  controllers: [ApprovalsController],
  providers: [ApprovalAnswers, ApprovalRepository, ApprovalSeal, ApprovalSubjects, ApprovalsService, ExpiredApprovals],
  exports: [ApprovalAnswers, ApprovalSeal, ApprovalSubjects, ApprovalsService],
})
export class ApprovalsModule {}
