import { Controller, Get, Header, Param, Query, StreamableFile } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import { IdParam } from '../http/id.param.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { AuditReader } from './audit-reader.js';
import { ConsistencyQuery, ExportQuery } from './dto/transparency-log.query.js';
import type { ConsistencyDocument } from '../tlog/proof-documents.js';
import { LogExport } from './log-export.js';
import { type InclusionDocument, LogProofs } from './log-proofs.js';

const TEXT = 'text/plain; charset=utf-8';

/** Serves everything that an auditor needs to verify the log without trusting the service. */
@Controller('v1/audit')
export class TransparencyLogController {
  constructor(
    private readonly proofs: LogProofs,
    private readonly reader: AuditReader,
    private readonly exports: LogExport,
  ) {}

  @Get('key')
  @Requires('audit:read')
  @Header('content-type', TEXT)
  getVerifierKeys(): string {
    return this.proofs.verifierKeys;
  }

  @Get('checkpoint')
  @Requires('audit:read')
  @Header('content-type', TEXT)
  async getCheckpoint(): Promise<string> {
    return (await this.proofs.getCheckpoint()).note;
  }

  @Get('consistency')
  @Requires('audit:read')
  getConsistencyProof(@Query() { from, to }: ConsistencyQuery): Promise<ConsistencyDocument> {
    return this.proofs.proveConsistency(Number(from), Number(to));
  }

  @Get('events/:id/proof')
  @Requires('audit:read')
  async getInclusionProof(@Context() context: AuthorizedContext, @Param() { id }: IdParam): Promise<InclusionDocument> {
    await this.reader.demandVisible(context, id);
    return this.proofs.proveInclusion(id);
  }

  @Get('export')
  @Requires('audit:export')
  async exportLog(@Context() context: AuthorizedContext, @Query() filter: ExportQuery): Promise<StreamableFile> {
    return new StreamableFile(await this.exports.open(context, filter), { type: 'application/x-ndjson' });
  }
}
