import { Controller, Get, Query, StreamableFile } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { RelyingPartyQuery } from '../credentials/dto/list-credentials.query.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { ExportCredentials } from './export-credentials.js';

@Controller('v1/credentials/export')
export class ExportController {
  constructor(
    private readonly exports: ExportCredentials,
    private readonly access: AccessService,
  ) {}

  @Get()
  @Requires('passkeys:export')
  async export(@Context() context: AuthorizedContext, @Query() { rpId }: RelyingPartyQuery): Promise<StreamableFile> {
    await this.access.authorizeRelyingParty(context, rpId);
    return new StreamableFile(await this.exports.open(context, rpId), { type: 'application/x-ndjson' });
  }
}
