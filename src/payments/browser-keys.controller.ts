import { Body, Controller, Get, HttpCode, HttpStatus, Param, Post } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import type { BrowserKey } from '../credentials/browser-keys.js';
import { ChangeStatusDto } from '../credentials/dto/manage-credential.dto.js';
import { IdParam } from '../http/id.param.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { BrowserKeysService } from './browser-keys.service.js';
import { BrowserKeyParam } from './dto/browser-key.param.js';

@Controller('v1/credentials/:id/browser-keys')
export class BrowserKeysController {
  constructor(private readonly keys: BrowserKeysService) {}

  @Get()
  @Requires('passkeys:read')
  async list(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
  ): Promise<{ data: readonly BrowserKey[] }> {
    return { data: await this.keys.list(context, id) };
  }

  @Post(':thumbprint/trust')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  trust(
    @Context() context: AuthorizedContext,
    @Param() { id, thumbprint }: BrowserKeyParam,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<BrowserKey> {
    return this.keys.trust(context, id, thumbprint, reason);
  }

  @Post(':thumbprint/revoke')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  revoke(
    @Context() context: AuthorizedContext,
    @Param() { id, thumbprint }: BrowserKeyParam,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<BrowserKey> {
    return this.keys.revoke(context, id, thumbprint, reason);
  }
}
