import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Query } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { RelyingPartyQuery, UserParam } from './dto/list-credentials.query.js';
import { type UserSignals, UsersService } from './users.service.js';

@Controller('v1/users/:userId')
export class UsersController {
  constructor(
    private readonly users: UsersService,
    private readonly access: AccessService,
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

  @Delete()
  @HttpCode(HttpStatus.NO_CONTENT)
  @Requires('passkeys:erase')
  async erase(
    @Context() context: AuthorizedContext,
    @Param() { userId }: UserParam,
    @Query() { rpId }: RelyingPartyQuery,
  ): Promise<void> {
    await this.access.authorizeRelyingParty(context, rpId);
    await this.users.erase(context, rpId, userId);
  }
}
