import { Controller, Get, Query } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { StatisticsQuery } from './dto/statistics.query.js';
import type { StatisticsResponse } from './dto/statistics.response.js';
import { StatisticsService } from './statistics.service.js';

@Controller('v1/statistics')
export class StatisticsController {
  constructor(
    private readonly statistics: StatisticsService,
    private readonly access: AccessService,
  ) {}

  @Get()
  @Requires('statistics:read')
  async show(@Context() context: AuthorizedContext, @Query() query: StatisticsQuery): Promise<StatisticsResponse> {
    await this.access.authorizeRelyingParty(context, query.rpId);
    return this.statistics.show(query);
  }
}
