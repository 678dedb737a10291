import { Controller, Get } from '@nestjs/common';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { AccessService } from './access.service.js';
import { CallerResponse } from './dto/caller.response.js';
import { Requires } from './permissions.js';

/** Tells a caller who it is to this service. It answers without the database. */
@Controller('v1/caller')
export class CallerController {
  constructor(private readonly access: AccessService) {}

  @Get()
  @Requires('any')
  async show(@Context() context: AuthorizedContext): Promise<CallerResponse> {
    const grant = await this.access.getGrant(context);
    return CallerResponse.of(context.caller, grant, this.access.approvals);
  }
}
