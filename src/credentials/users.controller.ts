import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { ApprovalAnswers } from '../approvals/approval-answers.js';
import type { ApprovalResponse } from '../approvals/dto/approval.response.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { RelyingPartyQuery, UserParam } from './dto/list-credentials.query.js';
import { ChangeStatusDto } from './dto/manage-credential.dto.js';
import { RevokeUser } from './revoke-user.js';
import { type UserSignals, UsersService } from './users.service.js';

@Controller('v1/users/:userId')
export class UsersController {
  constructor(
    private readonly users: UsersService,
    private readonly revocation: RevokeUser,
    private readonly access: AccessService,
    private readonly approvals: ApprovalAnswers,
  ) {}

  @Get('signals')
  @Requires('passkeys:read')
  async signals(
    @Context() context: AuthorizedContext,
    @Param() { userId }: UserParam,
    @Query() { rpId }: RelyingPartyQuery,
  ): Promise<UserSignals> {
    await this.access.authorizeRelyingParty(context, rpId);
    return this.users.listSignals(context, rpId, userId);
  }

  @Post('revoke')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  async revoke(
    @Context() context: AuthorizedContext,
    @Param() { userId }: UserParam,
    @Query() { rpId }: RelyingPartyQuery,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<{ revoked: number }> {
    await this.access.authorizeRelyingParty(context, rpId);
    return { revoked: await this.revocation.revoke(context, rpId, userId, reason) };
  }

  @Delete()
  @Requires('passkeys:erase')
  async erase(
    @Context() context: AuthorizedContext,
    @Param() { userId }: UserParam,
    @Query() { rpId }: RelyingPartyQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ApprovalResponse | undefined> {
    await this.access.authorizeRelyingParty(context, rpId);
    const approval = await this.users.erase(context, rpId, userId);
    if (approval) return this.approvals.accept(approval, reply);
    void reply.status(HttpStatus.NO_CONTENT);
    return undefined;
  }
}
