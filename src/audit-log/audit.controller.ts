import { Controller, Get, Param, Query } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import type { Page } from '../http/page.js';
import { IdParam } from '../http/id.param.js';
import { AuditReader, type OcsfEvent } from './audit-reader.js';
import { ListEventsQuery } from './dto/list-events.query.js';

@Controller('v1/audit/events')
export class AuditController {
  constructor(private readonly reader: AuditReader) {}

  @Get()
  @Requires('audit:read')
  list(@Context() context: AuthorizedContext, @Query() query: ListEventsQuery): Promise<Page<OcsfEvent>> {
    return this.reader.list(context, query);
  }

  @Get(':id')
  @Requires('audit:read')
  get(@Context() context: AuthorizedContext, @Param() { id }: IdParam): Promise<OcsfEvent> {
    return this.reader.get(context, id);
  }
}
