import { Controller, HttpCode, Post, Query, StreamableFile } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import { LineBody, NDJSON, TakesLines } from '../http/line-body.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { ImportQuery } from './dto/import.query.js';
import { ImportCredentials } from './import-credentials.js';

@Controller('v1/credentials')
export class ImportController {
  constructor(private readonly imports: ImportCredentials) {}

  @Post('import')
  @HttpCode(200)
  @Requires('passkeys:import')
  @TakesLines()
  async importCredentials(
    @Context() context: AuthorizedContext,
    @Query() query: ImportQuery,
    @LineBody() body: unknown,
  ): Promise<StreamableFile> {
    return new StreamableFile(await this.imports.open(context, query, body), { type: NDJSON });
  }
}
