import { Body, Controller, Get, HttpCode, HttpStatus, Param, Post, Query } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import { IdParam } from '../http/id.param.js';
import { decodeCursor, type Page, toPage } from '../http/page.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { ApprovalAnswers } from './approval-answers.js';
import { ApprovalSeal } from './approval-seal.js';
import { ApprovalsService } from './approvals.service.js';
import type { ApprovalResponse } from './dto/approval.response.js';
import { DecideApprovalDto } from './dto/decide-approval.dto.js';
import { ListApprovalsQuery } from './dto/list-approvals.query.js';

@Controller('v1/approvals')
export class ApprovalsController {
  constructor(
    private readonly approvals: ApprovalsService,
    private readonly answers: ApprovalAnswers,
    private readonly seal: ApprovalSeal,
  ) {}

  @Get()
  @Requires('approvals:decide')
  async list(
    @Context() context: AuthorizedContext,
    @Query() { status, limit, cursor }: ListApprovalsQuery,
  ): Promise<Page<ApprovalResponse>> {
    const rows = await this.approvals.list(context, { status, after: decodeCursor(cursor), limit: limit + 1 });
    const { data, nextCursor } = toPage(
      rows,
      limit,
      ({ id }) => id,
      (row) => row,
    );
    return { data: await this.answers.describe(await this.seal.keepGenuine(context, data)), nextCursor };
  }

  /** The caller that made the request reads it, too, and only AccessService knows who else may. */
  @Get(':id')
  @Requires('any')
  async get(@Context() context: AuthorizedContext, @Param() { id }: IdParam): Promise<ApprovalResponse> {
    return this.answers.describeOne(await this.approvals.get(context, id));
  }

  @Post(':id/approve')
  @HttpCode(HttpStatus.OK)
  @Requires('approvals:decide')
  async approve(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { reason }: DecideApprovalDto,
  ): Promise<ApprovalResponse> {
    return this.answers.describeOne(await this.approvals.decide(context, id, 'approved', reason));
  }

  @Post(':id/refuse')
  @HttpCode(HttpStatus.OK)
  @Requires('approvals:decide')
  async refuse(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { reason }: DecideApprovalDto,
  ): Promise<ApprovalResponse> {
    return this.answers.describeOne(await this.approvals.decide(context, id, 'refused', reason));
  }
}
